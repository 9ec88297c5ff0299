-- Each contact counts in the minute of what came of it: offered when it came, answered when it was answered, abandoned
-- when the caller gave up, handled when it was closed. Rows that change or go take back what they counted.
-- A contact that ended before it began waited for no time. Abandoned within five seconds is a short abandon.
-- What changes 13 days after a contact began changes no minute: soon after, the job has forgotten what it counted. What a
-- snapshot reads again is counted anew, as all of a minute's contacts are.

CREATE TEMPORARY VIEW handling AS
SELECT db, interaction_id, SUM(duration_ms) AS handle_ms
FROM interaction_segments
WHERE kind IN ('talk', 'hold', 'wrap')
GROUP BY db, interaction_id;

CREATE TEMPORARY VIEW contacts AS
SELECT * FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY db, interaction_id ORDER BY version DESC) AS place
    FROM (
        SELECT op, version, `source`.`db` AS db, `source`.`ts_ms` AS committed_ms,
            COALESCE(`after`.`interaction_id`, `before`.`interaction_id`) AS interaction_id,
            COALESCE(`after`.`started_at`, `before`.`started_at`) AS started_at,
            `after`.`account_id` AS account_id, `after`.`queue_id` AS queue_id, `after`.`direction` AS direction, `after`.`state` AS state,
            `after`.`answered_at` AS answered_at, `after`.`ended_at` AS ended_at, `after`.`is_abandoned` AS is_abandoned
        FROM interactions_log WHERE op <> 't'
    ) WHERE op = 'r' OR TIMESTAMPDIFF(DAY, started_at, CAST(TO_TIMESTAMP_LTZ(committed_ms, 3) AS TIMESTAMP(3))) < 13
) WHERE place = 1 AND op <> 'd' AND direction = 'in' AND queue_id IS NOT NULL;

CREATE TEMPORARY VIEW offered AS
SELECT c.account_id, c.queue_id, c.started_at, c.answered_at, c.ended_at, c.committed_ms, h.handle_ms,
    ARRAY['offered',
        CASE WHEN c.answered_at IS NOT NULL THEN 'answered' END,
        CASE WHEN c.is_abandoned = 1 AND c.ended_at IS NOT NULL THEN 'abandoned' END,
        CASE WHEN c.state = 'closed' AND c.ended_at IS NOT NULL AND h.handle_ms IS NOT NULL THEN 'handled' END] AS came,
    COALESCE(q.target_seconds, 20) * 1000 AS target_ms,
    GREATEST(CAST(0 AS BIGINT), TIMESTAMPDIFF(SECOND, FLOOR(c.started_at TO SECOND), FLOOR(c.answered_at TO SECOND)) * CAST(1000 AS BIGINT)
        + EXTRACT(MILLISECOND FROM c.answered_at) - EXTRACT(MILLISECOND FROM c.started_at)) AS delay_ms
FROM contacts AS c
LEFT JOIN queues AS q ON q.queue_id = c.queue_id
LEFT JOIN handling AS h ON h.db = c.db AND h.interaction_id = c.interaction_id;

CREATE TEMPORARY VIEW outcomes AS
SELECT *, FLOOR(CASE outcome WHEN 'offered' THEN started_at WHEN 'answered' THEN answered_at ELSE ended_at END TO MINUTE) AS `minute`
FROM offered CROSS JOIN UNNEST(came) AS each_of (outcome)
WHERE outcome IS NOT NULL;

SELECT account_id, queue_id, `minute`,
    SUM(CASE outcome WHEN 'offered' THEN 1 ELSE 0 END) AS offered,
    SUM(CASE outcome WHEN 'answered' THEN 1 ELSE 0 END) AS answered,
    SUM(CASE outcome WHEN 'abandoned' THEN 1 ELSE 0 END) AS abandoned,
    SUM(CASE WHEN outcome = 'abandoned' AND ended_at < started_at + INTERVAL '5' SECOND THEN 1 ELSE 0 END) AS short_abandons,
    SUM(CASE outcome WHEN 'answered' THEN delay_ms ELSE 0 END) AS answer_delay_ms,
    SUM(CASE WHEN outcome = 'answered' AND delay_ms <= target_ms THEN 1 ELSE 0 END) AS within_target,
    SUM(CASE outcome WHEN 'handled' THEN 1 ELSE 0 END) AS handled,
    SUM(CASE outcome WHEN 'handled' THEN handle_ms ELSE 0 END) AS handle_ms,
    MAX(committed_ms) AS committed_ms
FROM outcomes
GROUP BY account_id, queue_id, `minute`
