CREATE TABLE `interactions_log` (
    `before` ROW<`interaction_id` BIGINT, `account_id` BIGINT, `channel` STRING, `direction` STRING, `state` STRING, `queue_id` BIGINT, `agent_id` BIGINT, `customer_name` STRING, `customer_phone` STRING, `started_at` TIMESTAMP(3), `answered_at` TIMESTAMP(3), `ended_at` TIMESTAMP(3), `is_abandoned` INT, `cost` DECIMAL(18, 4), `tags` STRING, `notes` STRING, `updated_at` STRING>,
    `after` ROW<`interaction_id` BIGINT, `account_id` BIGINT, `channel` STRING, `direction` STRING, `state` STRING, `queue_id` BIGINT, `agent_id` BIGINT, `customer_name` STRING, `customer_phone` STRING, `started_at` TIMESTAMP(3), `answered_at` TIMESTAMP(3), `ended_at` TIMESTAMP(3), `is_abandoned` INT, `cost` DECIMAL(18, 4), `tags` STRING, `notes` STRING, `updated_at` STRING>,
    `source` ROW<`connector` STRING NOT NULL, `db` STRING NOT NULL, `ts_ms` BIGINT NOT NULL, `snapshot` STRING, `file` STRING NOT NULL, `pos` BIGINT NOT NULL, `row` INT NOT NULL>,
    `op` STRING NOT NULL,
    `partition` INT NOT NULL METADATA VIRTUAL,
    `offset` BIGINT NOT NULL METADATA VIRTUAL,
    `version` AS CASE WHEN `source`.`connector` = 'switchboard' THEN `source`.`pos` + 1 - MOD(`source`.`pos`, 2) ELSE CAST(281474976710656 AS BIGINT) + `offset` * 2 END,
    `event_time` AS TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3),
    WATERMARK FOR `event_time` AS `event_time` - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kafka',
    'topic' = 'cdc.interactions',
    'properties.bootstrap.servers' = 'kafka:9092',
    'properties.isolation.level' = 'read_committed',
    'scan.startup.mode' = 'earliest-offset',
    'scan.watermark.idle-timeout' = '10 s',
    'format' = 'change-record',
    'change-record.url' = 'http://registry/apis/ccompat/v7'
);
