-- The newest commit that says anything of the agent: what has been taken back since counts too, so it never steps back.
CREATE TEMPORARY VIEW commits AS
SELECT agent_id, MAX(committed_ms) AS committed_ms FROM (
    SELECT COALESCE(`after`.`agent_id`, `before`.`agent_id`) AS agent_id, `source`.`ts_ms` AS committed_ms FROM agent_activity_log
    UNION ALL
    SELECT `before`.`agent_id`, `source`.`ts_ms` FROM interactions_log WHERE `before`.`agent_id` IS NOT NULL
    UNION ALL
    SELECT `after`.`agent_id`, `source`.`ts_ms` FROM interactions_log WHERE `after`.`agent_id` IS NOT NULL
    UNION ALL
    SELECT COALESCE(`after`.`agent_id`, `before`.`agent_id`), `source`.`ts_ms` FROM agents_log
    UNION ALL
    SELECT COALESCE(`after`.`agent_id`, `before`.`agent_id`), `source`.`ts_ms` FROM queue_members_log
) GROUP BY agent_id;

SELECT a.account_id, a.agent_id, a.team_id, a.team, a.name,
    SPLIT_INDEX(a.winner, '|', 2) AS state,
    NULLIF(SUBSTRING(a.winner FROM 4 + CHAR_LENGTH(SPLIT_INDEX(a.winner, '|', 1)) + 1 + CHAR_LENGTH(SPLIT_INDEX(a.winner, '|', 2)) + 1), '') AS reason,
    CAST(NULLIF(SPLIT_INDEX(a.winner, '|', 1), '') AS TIMESTAMP(3)) AS since,
    '{"voice":' || CAST(a.voice AS STRING) || ',"chat":' || CAST(a.chat AS STRING) || ',"email":' || CAST(a.email AS STRING) || '}' AS contacts,
    '[' || COALESCE(a.queues, '') || ']' AS queues,
    c.committed_ms
FROM agents_now AS a
JOIN commits AS c ON c.agent_id = a.agent_id
