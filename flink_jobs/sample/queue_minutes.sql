-- Each inbound contact counts in the minute of its outcome: offered when it arrives, answered when it is
-- answered, abandoned when the caller gives up before that, handled when it is closed. Changed and deleted
-- rows retract their counts. A contact that ended before it began has no waiting time. Changes that were
-- committed 13 days after a contact or a segment began are skipped, as their minutes' state expires soon
-- after. This includes rows that are read again, as a snapshot of one contact does not read the others of its
-- minute.

CREATE TEMPORARY VIEW segments AS
SELECT * FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY db, interaction_id, segment_no ORDER BY version DESC) AS place
    FROM (
        SELECT op, version, `source`.`db` AS db, `source`.`ts_ms` AS committed_ms, `after`.`kind` AS kind, `after`.`duration_ms` AS duration_ms,
            COALESCE(`after`.`interaction_id`, `before`.`interaction_id`) AS interaction_id,
            COALESCE(`after`.`segment_no`, `before`.`segment_no`) AS segment_no,
            COALESCE(`after`.`started_at`, `before`.`started_at`) AS started_at
        FROM interaction_segments_log WHERE op <> 't'
    ) WHERE TIMESTAMPDIFF(DAY, started_at, CAST(TO_TIMESTAMP_LTZ(committed_ms, 3) AS TIMESTAMP(3))) < 13
) WHERE place = 1;

-- Of deleted ones, only the commit time.
CREATE TEMPORARY VIEW handling AS
SELECT db, interaction_id, SUM(CASE WHEN kind IN ('talk', 'hold', 'wrap') THEN duration_ms END) AS handle_ms, MAX(committed_ms) AS committed_ms
FROM segments GROUP BY db, interaction_id;

CREATE TEMPORARY VIEW recent AS
SELECT * FROM (
    SELECT op, version, `source`.`db` AS db, `source`.`ts_ms` AS committed_ms,
        COALESCE(`after`.`interaction_id`, `before`.`interaction_id`) AS interaction_id,
        COALESCE(`after`.`started_at`, `before`.`started_at`) AS started_at,
        `after`.`account_id` AS account_id, `after`.`queue_id` AS queue_id, `after`.`direction` AS direction, `after`.`state` AS state,
        `after`.`answered_at` AS answered_at, `after`.`ended_at` AS ended_at, `after`.`is_abandoned` AS is_abandoned,
        `before`.`account_id` AS account_before, `before`.`queue_id` AS queue_before, `before`.`direction` AS direction_before,
        `before`.`answered_at` AS answered_before, `before`.`ended_at` AS ended_before
    FROM interactions_log WHERE op <> 't'
) WHERE TIMESTAMPDIFF(DAY, started_at, CAST(TO_TIMESTAMP_LTZ(committed_ms, 3) AS TIMESTAMP(3))) < 13;

CREATE TEMPORARY VIEW contacts AS
SELECT * FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY db, interaction_id ORDER BY version DESC) AS place FROM (
        SELECT op, version, db, committed_ms, interaction_id, started_at, account_id, queue_id, direction, state, answered_at, ended_at, is_abandoned
        FROM recent
    )
) WHERE place = 1 AND op <> 'd' AND direction = 'in' AND queue_id IS NOT NULL;

CREATE TEMPORARY VIEW offered AS
SELECT c.account_id, c.queue_id, c.started_at, c.answered_at, c.ended_at, h.handle_ms,
    GREATEST(c.committed_ms, COALESCE(q.committed_ms, c.committed_ms), COALESCE(h.committed_ms, c.committed_ms)) AS committed_ms,
    ARRAY['offered',
        CASE WHEN c.answered_at IS NOT NULL THEN 'answered' END,
        CASE WHEN c.is_abandoned = 1 AND c.answered_at IS NULL AND c.ended_at IS NOT NULL THEN 'abandoned' END,
        CASE WHEN c.state = 'closed' AND c.ended_at IS NOT NULL AND h.handle_ms IS NOT NULL THEN 'handled' END] AS came,
    COALESCE(q.target_seconds, 20) * 1000 AS target_ms, TIMESTAMPADD(SECOND, COALESCE(q.short_abandon_seconds, 5), c.started_at) AS short_until,
    GREATEST(CAST(0 AS BIGINT), TIMESTAMPDIFF(SECOND, FLOOR(c.started_at TO SECOND), FLOOR(c.answered_at TO SECOND)) * CAST(1000 AS BIGINT)
        + EXTRACT(MILLISECOND FROM c.answered_at) - EXTRACT(MILLISECOND FROM c.started_at)) AS delay_ms
FROM contacts AS c
LEFT JOIN queues AS q ON q.queue_id = c.queue_id
LEFT JOIN handling AS h ON h.db = c.db AND h.interaction_id = c.interaction_id;

-- A contact that leaves a minute leaves a row in it, of zeros if it was alone there. After a restart, the job
-- reads at once that the contact came and left, and would emit nothing for a minute with a count of zero,
-- although it has sent a row before.
CREATE TEMPORARY VIEW outcomes AS
SELECT account_id, queue_id, committed_ms, started_at, ended_at, delay_ms, target_ms, short_until, handle_ms, outcome,
    FLOOR(CASE outcome WHEN 'offered' THEN started_at WHEN 'answered' THEN answered_at ELSE ended_at END TO MINUTE) AS `minute`
FROM offered CROSS JOIN UNNEST(came) AS each_of (outcome)
WHERE outcome IS NOT NULL
UNION ALL
SELECT account_before, queue_before, committed_ms, CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS BIGINT),
    CAST(NULL AS INT), CAST(NULL AS TIMESTAMP(3)), CAST(NULL AS BIGINT), 'left', FLOOR(moment TO MINUTE)
FROM recent CROSS JOIN UNNEST(ARRAY[started_at, answered_before, ended_before]) AS moments (moment)
WHERE moment IS NOT NULL AND direction_before = 'in' AND queue_before IS NOT NULL AND (
    op = 'd' OR queue_before IS DISTINCT FROM queue_id OR direction_before IS DISTINCT FROM direction
    OR answered_before IS NOT NULL AND answered_before IS DISTINCT FROM answered_at OR ended_before IS NOT NULL);

SELECT account_id, queue_id, `minute`,
    SUM(CASE outcome WHEN 'offered' THEN 1 ELSE 0 END) AS offered,
    SUM(CASE outcome WHEN 'answered' THEN 1 ELSE 0 END) AS answered,
    SUM(CASE outcome WHEN 'abandoned' THEN 1 ELSE 0 END) AS abandoned,
    SUM(CASE WHEN outcome = 'abandoned' AND ended_at < short_until THEN 1 ELSE 0 END) AS short_abandons,
    SUM(CASE outcome WHEN 'answered' THEN delay_ms ELSE 0 END) AS answer_delay_ms,
    SUM(CASE WHEN outcome = 'answered' AND delay_ms <= target_ms THEN 1 ELSE 0 END) AS within_target,
    SUM(CASE outcome WHEN 'handled' THEN 1 ELSE 0 END) AS handled,
    SUM(CASE outcome WHEN 'handled' THEN handle_ms ELSE 0 END) AS handle_ms,
    MAX(committed_ms) AS committed_ms
FROM outcomes
GROUP BY account_id, queue_id, `minute`
