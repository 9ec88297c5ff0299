-- One row for each queue, summed over claims: the queue itself, its inbound contacts, its agents. An agent of
-- two queues counts in both: for totals over queues use agent_status, which has each agent once.

CREATE TEMPORARY VIEW queue_claims AS
SELECT account_id, queue_id, committed_ms, CAST(0 AS BIGINT) AS changes, name, channel, target_seconds, 0 AS waiting,
    CAST(NULL AS TIMESTAMP(3)) AS waiting_since, 0 AS in_service, 0 AS agents_available, 0 AS agents_busy, 0 AS agents_offline
FROM queues
UNION ALL
SELECT account_id, queue_id, committed_ms, CAST(0 AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS INT),
    CASE WHEN state IN ('queued', 'ringing') THEN 1 ELSE 0 END,
    CASE WHEN state IN ('queued', 'ringing') THEN started_at END,
    CASE WHEN state IN ('talking', 'wrap') THEN 1 ELSE 0 END, 0, 0, 0
FROM contacts
WHERE direction = 'in' AND queue_id IS NOT NULL AND state IN ('queued', 'ringing', 'talking', 'wrap')
UNION ALL
SELECT m.account_id, m.queue_id, GREATEST(m.committed_ms, a.committed_ms), a.changes, CAST(NULL AS STRING), CAST(NULL AS STRING),
    CAST(NULL AS INT), 0, CAST(NULL AS TIMESTAMP(3)), 0,
    CASE WHEN a.state = 'available' THEN 1 ELSE 0 END,
    CASE WHEN a.state NOT IN ('available', 'offline') THEN 1 ELSE 0 END,
    CASE WHEN a.state = 'offline' THEN 1 ELSE 0 END
FROM queue_members AS m
JOIN (SELECT agent_id, SPLIT_INDEX(winner, '|', 2) AS state, committed_ms, changes FROM agents_now) AS a ON a.agent_id = m.agent_id;

-- As in agent_commits.
CREATE TEMPORARY VIEW queue_commits AS
SELECT queue_id, MAX(committed_ms) AS committed_ms, COUNT(*) AS changes FROM (
    SELECT `before`.`queue_id` AS queue_id, `source`.`ts_ms` AS committed_ms FROM interactions_log
    WHERE `before`.`queue_id` IS DISTINCT FROM `after`.`queue_id`
    UNION ALL
    SELECT `after`.`queue_id`, `source`.`ts_ms` FROM interactions_log
    UNION ALL
    SELECT COALESCE(`after`.`queue_id`, `before`.`queue_id`), `source`.`ts_ms` FROM queues_log
    UNION ALL
    SELECT COALESCE(`after`.`queue_id`, `before`.`queue_id`), `source`.`ts_ms` FROM queue_members_log
) WHERE queue_id IS NOT NULL GROUP BY queue_id;

SELECT q.account_id, q.queue_id, q.name, q.channel, q.target_seconds, q.waiting, q.oldest_waiting_since, q.in_service,
    q.agents_available, q.agents_busy, q.agents_offline, GREATEST(c.committed_ms, q.committed_ms) AS committed_ms
FROM (
    SELECT account_id, queue_id, MAX(name) AS name, MAX(channel) AS channel, MAX(target_seconds) AS target_seconds,
        SUM(waiting) AS waiting, MIN(waiting_since) AS oldest_waiting_since, SUM(in_service) AS in_service,
        SUM(agents_available) AS agents_available, SUM(agents_busy) AS agents_busy, SUM(agents_offline) AS agents_offline,
        MAX(committed_ms) AS committed_ms, SUM(changes) AS changes
    FROM queue_claims GROUP BY account_id, queue_id
) AS q
JOIN queue_commits AS c ON c.queue_id = q.queue_id AND c.changes + q.changes > 0
