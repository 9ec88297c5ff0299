-- The current activities: the newest record of each, unless it is a delete. A time in the future is replaced
-- by the commit time of the first record of the activity, so reading it again does not change it. The reason
-- is last in the concatenated text, as it may contain any character.
CREATE TEMPORARY VIEW activities AS
SELECT account_id, agent_id, activity_id, version, state, reason, committed_ms, LEAST(occurred_ms, first_ms) AS happened_ms
FROM (
    SELECT activity_id, first_ms, SPLIT_INDEX(newest, '|', 0) AS version, SPLIT_INDEX(newest, '|', 1) AS op,
        CAST(SPLIT_INDEX(newest, '|', 2) AS BIGINT) AS committed_ms, CAST(SPLIT_INDEX(newest, '|', 3) AS BIGINT) AS account_id,
        CAST(SPLIT_INDEX(newest, '|', 4) AS BIGINT) AS agent_id, CAST(SPLIT_INDEX(newest, '|', 5) AS BIGINT) AS occurred_ms,
        SPLIT_INDEX(newest, '|', 6) AS state, REGEXP_EXTRACT(newest, '^(?s)(?:[^|]*\|){7}(.*)$', 1) AS reason
    FROM (
        SELECT `source`.`db`, COALESCE(`after`.`activity_id`, `before`.`activity_id`) AS activity_id, MIN(`source`.`ts_ms`) AS first_ms,
            MAX(LPAD(CAST(version AS STRING), 20, '0') || '|' || op || '|' || COALESCE(
                CAST(`source`.`ts_ms` AS STRING) || '|' || CAST(`after`.`account_id` AS STRING) || '|' || CAST(`after`.`agent_id` AS STRING)
                    || '|' || CAST(`after`.`occurred_at` / 1000 AS STRING) || '|' || `after`.`state` || '|' || COALESCE(`after`.`reason`, ''),
                '')) AS newest
        FROM agent_activity_log WHERE op <> 't'
        GROUP BY `source`.`db`, COALESCE(`after`.`activity_id`, `before`.`activity_id`)
    )
) WHERE op <> 'd'
