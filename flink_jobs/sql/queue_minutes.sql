-- Each contact counts in the minute of what came of it: offered when it came, answered when it was answered, abandoned
-- when the caller gave up, handled when it was closed. Rows that change or go take back what they counted.
-- A contact that ended before it began waited for no time. Abandoned within five seconds is a short abandon.

CREATE TEMPORARY VIEW handling AS
SELECT db, interaction_id, SUM(duration_ms) AS handle_ms
FROM interaction_segments
WHERE kind IN ('talk', 'hold', 'wrap')
GROUP BY db, interaction_id;

CREATE TEMPORARY VIEW offered AS
SELECT i.db, i.interaction_id, i.account_id, i.queue_id, i.state, i.is_abandoned, i.started_at, i.answered_at, i.ended_at, i.committed_ms,
    COALESCE(q.target_seconds, 20) AS target_seconds
FROM interactions AS i
LEFT JOIN queues AS q ON q.queue_id = i.queue_id
WHERE i.direction = 'in' AND i.queue_id IS NOT NULL;

CREATE TEMPORARY VIEW outcomes AS
SELECT account_id, queue_id, FLOOR(started_at TO MINUTE) AS `minute`, committed_ms,
    1 AS offered, 0 AS answered, 0 AS abandoned, 0 AS short_abandons, CAST(0 AS BIGINT) AS answer_delay_ms, 0 AS within_target,
    0 AS handled, CAST(0 AS BIGINT) AS handle_ms
FROM offered
UNION ALL
SELECT account_id, queue_id, FLOOR(answered_at TO MINUTE), committed_ms, 0, 1, 0, 0, delay_ms,
    CASE WHEN delay_ms <= target_seconds * 1000 THEN 1 ELSE 0 END, 0, CAST(0 AS BIGINT)
FROM (
    SELECT *, GREATEST(CAST(0 AS BIGINT), TIMESTAMPDIFF(SECOND, FLOOR(started_at TO SECOND), FLOOR(answered_at TO SECOND)) * CAST(1000 AS BIGINT)
        + EXTRACT(MILLISECOND FROM answered_at) - EXTRACT(MILLISECOND FROM started_at)) AS delay_ms
    FROM offered WHERE answered_at IS NOT NULL
)
UNION ALL
SELECT account_id, queue_id, FLOOR(ended_at TO MINUTE), committed_ms, 0, 0, 1,
    CASE WHEN ended_at < started_at + INTERVAL '5' SECOND THEN 1 ELSE 0 END, CAST(0 AS BIGINT), 0, 0, CAST(0 AS BIGINT)
FROM offered WHERE is_abandoned = 1 AND ended_at IS NOT NULL
UNION ALL
SELECT o.account_id, o.queue_id, FLOOR(o.ended_at TO MINUTE), o.committed_ms, 0, 0, 0, 0, CAST(0 AS BIGINT), 0, 1, h.handle_ms
FROM offered AS o
JOIN handling AS h ON h.db = o.db AND h.interaction_id = o.interaction_id
WHERE o.state = 'closed' AND o.ended_at IS NOT NULL;

SELECT account_id, queue_id, `minute`, SUM(offered) AS offered, SUM(answered) AS answered, SUM(abandoned) AS abandoned,
    SUM(short_abandons) AS short_abandons, SUM(answer_delay_ms) AS answer_delay_ms, SUM(within_target) AS within_target,
    SUM(handled) AS handled, SUM(handle_ms) AS handle_ms, MAX(committed_ms) AS committed_ms
FROM outcomes
GROUP BY account_id, queue_id, `minute`
