-- The current agents, for the jobs that need them. Each input row about an agent is a claim with a rank. The
-- lowest rank wins, and of equal ranks the oldest. The ranks are the precedence of states: error, missed,
-- rejected, on contact, after-contact work, incoming, a tenant's own state, available. One aggregation over
-- all claims is used, as an outer join would delete a row and insert it again whenever the first contact
-- starts or the last one ends.
CREATE FUNCTION largest AS 'switchboard.flink.Largest';

-- The newest record of each contact, and the newest with which it entered a state with an agent, which is its
-- time since. Corrected notes do not change that time, nor do rows that are read again. Without such a
-- record, it is the time of the first reading in that state, or of the newest record.
CREATE TEMPORARY VIEW contacts AS
SELECT db, interaction_id, CAST(SPLIT_INDEX(newest, '|', 3) AS BIGINT) AS committed_ms, CAST(SPLIT_INDEX(newest, '|', 4) AS BIGINT) AS account_id,
    CAST(NULLIF(SPLIT_INDEX(newest, '|', 5), '') AS BIGINT) AS queue_id, CAST(NULLIF(SPLIT_INDEX(place, ',', 0), '') AS BIGINT) AS agent_id,
    SPLIT_INDEX(place, ',', 1) AS state, SPLIT_INDEX(newest, '|', 6) AS channel, SPLIT_INDEX(newest, '|', 7) AS direction,
    CAST(SPLIT_INDEX(newest, '|', 8) AS TIMESTAMP(3)) AS started_at,
    TRY_CAST(REPLACE(REPLACE(
        CASE place
            WHEN SPLIT_INDEX(entered, '|', 1) THEN SPLIT_INDEX(entered, '|', 2)
            WHEN SPLIT_INDEX(first_read, '|', 1) THEN SPLIT_INDEX(first_read, '|', 2)
            ELSE SPLIT_INDEX(newest, '|', 2)
        END, 'T', ' '), 'Z', '') AS TIMESTAMP(3)) AS since
FROM (
    SELECT db, interaction_id, entered, first_read, newest, SPLIT_INDEX(newest, '|', 1) AS place FROM (
        SELECT db, interaction_id, MAX(came || COALESCE(facts, '')) AS newest,
            MAX(came) FILTER (WHERE op = 'c' OR op = 'u' AND place IS DISTINCT FROM place_before) AS entered,
            MIN(came) FILTER (WHERE op = 'r') AS first_read
        FROM (
            SELECT db, interaction_id, op, place, place_before,
                LPAD(CAST(version AS STRING), 20, '0') || '|' || COALESCE(place, 'gone') || '|' || COALESCE(updated_at, '') AS came,
                '|' || CAST(committed_ms AS STRING) || '|' || CAST(account_id AS STRING) || '|' || COALESCE(CAST(queue_id AS STRING), '')
                    || '|' || channel || '|' || direction || '|' || CAST(started_at AS STRING) AS facts
            FROM (
                SELECT `source`.`db` AS db, COALESCE(`after`.`interaction_id`, `before`.`interaction_id`) AS interaction_id, op, version,
                    COALESCE(CAST(`after`.`agent_id` AS STRING), '') || ',' || `after`.`state` AS place,
                    COALESCE(CAST(`before`.`agent_id` AS STRING), '') || ',' || `before`.`state` AS place_before,
                    `after`.`updated_at` AS updated_at, `source`.`ts_ms` AS committed_ms, `after`.`account_id` AS account_id,
                    `after`.`queue_id` AS queue_id, `after`.`channel` AS channel, `after`.`direction` AS direction, `after`.`started_at` AS started_at
                FROM interactions_log WHERE op <> 't'
            )
        ) GROUP BY db, interaction_id
    )
) WHERE place <> 'gone';

-- An agent's newest activity by its own time, after corrections and deletes of the newest ones. The state is
-- bounded, as it never expires.
CREATE TEMPORARY VIEW newest_activities AS
SELECT account_id, agent_id, SPLIT_INDEX(newest, '|', 3) AS state, REGEXP_EXTRACT(newest, '^(?s)(?:[^|]*\|){4}(.*)$', 1) AS reason,
    CAST(TO_TIMESTAMP_LTZ(CAST(SPLIT_INDEX(newest, '|', 0) AS BIGINT), 3) AS TIMESTAMP(3)) AS since
FROM (
    SELECT account_id, agent_id,
        largest(LPAD(CAST(happened_ms AS STRING), 20, '0') || '|' || LPAD(CAST(activity_id AS STRING), 20, '0') || '|' || version || '|' || state
            || '|' || reason) AS newest
    FROM activities GROUP BY account_id, agent_id
) WHERE newest IS NOT NULL;

-- Agents that were deleted, although activities remain, and agents of the account that they left. Agents
-- without any record of their own are kept.
CREATE TEMPORARY VIEW gone_agents AS
SELECT account_id, agent_id FROM (
    SELECT `after`.`account_id` AS account_id, `after`.`agent_id` AS agent_id, version * 2 AS told FROM agents_log WHERE op IN ('c', 'u', 'r')
    UNION ALL
    SELECT `before`.`account_id`, `before`.`agent_id`, version * 2 + 1 FROM agents_log
    WHERE op = 'd' OR op = 'u' AND `before`.`account_id` <> `after`.`account_id`
) GROUP BY account_id, agent_id HAVING MOD(MAX(told), 2) = 1;

CREATE TEMPORARY VIEW claims AS
SELECT account_id, agent_id,
    CASE state WHEN 'error' THEN 1 WHEN 'missed' THEN 2 WHEN 'rejected' THEN 3 WHEN 'on contact' THEN 4 WHEN 'after-contact work' THEN 5
        WHEN 'incoming' THEN 6 WHEN 'available' THEN 8 WHEN 'offline' THEN 9 ELSE 7 END AS claim_rank,
    state, reason, since, CAST(NULL AS STRING) AS channel, CAST(NULL AS BIGINT) AS queue_id,
    CAST(NULL AS BIGINT) AS team_id, CAST(NULL AS STRING) AS team, CAST(NULL AS STRING) AS agent_name, CAST(NULL AS BIGINT) AS committed_ms, 0 AS gone
FROM newest_activities
UNION ALL
SELECT account_id, agent_id, CASE state WHEN 'talking' THEN 4 WHEN 'wrap' THEN 5 ELSE 6 END,
    CASE state WHEN 'talking' THEN 'on contact' WHEN 'wrap' THEN 'after-contact work' ELSE 'incoming' END,
    CAST(NULL AS STRING), since, channel, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING),
    CAST(NULL AS BIGINT), 0
FROM contacts WHERE agent_id IS NOT NULL AND state IN ('ringing', 'talking', 'wrap')
UNION ALL
SELECT account_id, agent_id, 11, CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS STRING), queue_id,
    CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS BIGINT), 0
FROM queue_members
UNION ALL
SELECT a.account_id, a.agent_id, 10, 'offline', CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS STRING), CAST(NULL AS BIGINT),
    a.team_id, t.name, a.display_name, t.committed_ms, CASE WHEN a.is_active = 0 THEN 1 ELSE 0 END
FROM agents AS a
LEFT JOIN teams AS t ON t.team_id = a.team_id
UNION ALL
SELECT account_id, agent_id, 10, 'offline', CAST(NULL AS STRING), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS STRING), CAST(NULL AS BIGINT),
    CAST(NULL AS BIGINT), CAST(NULL AS STRING), CAST(NULL AS STRING), CAST(NULL AS BIGINT), 1
FROM gone_agents;

-- The newest commit time of any record that concerns the agent. Retracted records count too, so it never
-- decreases. And the number of these records: see agents_now.
CREATE TEMPORARY VIEW agent_commits AS
SELECT agent_id, MAX(committed_ms) AS committed_ms, COUNT(*) AS changes FROM (
    SELECT `before`.`agent_id` AS agent_id, `source`.`ts_ms` AS committed_ms FROM agent_activity_log
    WHERE `before`.`agent_id` IS DISTINCT FROM `after`.`agent_id`
    UNION ALL
    SELECT `after`.`agent_id`, `source`.`ts_ms` FROM agent_activity_log
    UNION ALL
    SELECT `before`.`agent_id`, `source`.`ts_ms` FROM interactions_log WHERE `before`.`agent_id` IS DISTINCT FROM `after`.`agent_id`
    UNION ALL
    SELECT `after`.`agent_id`, `source`.`ts_ms` FROM interactions_log
    UNION ALL
    SELECT COALESCE(`after`.`agent_id`, `before`.`agent_id`), `source`.`ts_ms` FROM agents_log
    UNION ALL
    SELECT COALESCE(`after`.`agent_id`, `before`.`agent_id`), `source`.`ts_ms` FROM queue_members_log
) WHERE agent_id IS NOT NULL GROUP BY agent_id;

-- An aggregation with an unchanged result emits nothing. After a restart that is wrong: a result sent since
-- the checkpoint may have been read, and its input retracted meanwhile. So each replayed record changes the
-- row, by the number of changes, which the join has to read.
CREATE TEMPORARY VIEW agents_now AS
SELECT a.account_id, a.agent_id, a.team_id, a.team, a.name, a.winner, a.voice, a.chat, a.email, a.queues,
    GREATEST(c.committed_ms, COALESCE(a.team_committed_ms, c.committed_ms)) AS committed_ms, c.changes
FROM (
    SELECT account_id, agent_id, MAX(team_id) AS team_id, MAX(team) AS team, MAX(agent_name) AS name,
        MIN(LPAD(CAST(claim_rank AS STRING), 2, '0') || '|' || COALESCE(DATE_FORMAT(since, 'yyyy-MM-dd HH:mm:ss.SSS'), '') || '|' || state
            || '|' || COALESCE(reason, '')) AS winner,
        SUM(CASE channel WHEN 'voice' THEN 1 ELSE 0 END) AS voice,
        SUM(CASE channel WHEN 'chat' THEN 1 ELSE 0 END) AS chat,
        SUM(CASE channel WHEN 'email' THEN 1 ELSE 0 END) AS email,
        ARRAY_SORT(ARRAY_AGG(queue_id) FILTER (WHERE queue_id IS NOT NULL)) AS queues,
        MAX(committed_ms) AS team_committed_ms, SUM(gone) AS gone
    FROM claims
    GROUP BY account_id, agent_id
    HAVING SUM(gone) = 0 AND MIN(claim_rank) < 11
) AS a
JOIN agent_commits AS c ON c.agent_id = a.agent_id AND c.changes + a.voice + a.chat + a.email > 0
