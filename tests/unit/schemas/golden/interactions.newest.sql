CREATE TEMPORARY VIEW `interactions` AS
SELECT `db`, `committed_ms`, `interaction_id`, `account_id`, `channel`, `direction`, `state`, `queue_id`, `agent_id`, `customer_name`, `customer_phone`, `started_at`, `answered_at`, `ended_at`, `is_abandoned`, `cost`, `tags`, `notes`, `updated_at` FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY `db`, `interaction_id` ORDER BY `version` DESC) AS `place` FROM (
        SELECT `source`.`db` AS `db`, `source`.`ts_ms` AS `committed_ms`, `op`, `version`, COALESCE(`after`.`interaction_id`, `before`.`interaction_id`) AS `interaction_id`, `after`.`account_id` AS `account_id`, `after`.`channel` AS `channel`, `after`.`direction` AS `direction`, `after`.`state` AS `state`, `after`.`queue_id` AS `queue_id`, `after`.`agent_id` AS `agent_id`, `after`.`customer_name` AS `customer_name`, `after`.`customer_phone` AS `customer_phone`, `after`.`started_at` AS `started_at`, `after`.`answered_at` AS `answered_at`, `after`.`ended_at` AS `ended_at`, `after`.`is_abandoned` AS `is_abandoned`, `after`.`cost` AS `cost`, `after`.`tags` AS `tags`, `after`.`notes` AS `notes`, CAST(REPLACE(REPLACE(`after`.`updated_at`, 'T', ' '), 'Z', '') AS TIMESTAMP(3)) AS `updated_at`
        FROM `interactions_log` WHERE `op` <> 't'
    )
) WHERE `place` = 1 AND `op` <> 'd';
