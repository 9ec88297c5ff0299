CREATE TABLE IF NOT EXISTS landed.`interactions`
(
    `interaction_id` UInt64,
    `account_id` UInt32,
    `channel` LowCardinality(String),
    `direction` LowCardinality(String),
    `state` LowCardinality(String),
    `queue_id` Nullable(UInt32),
    `agent_id` Nullable(UInt32),
    `customer_name` Nullable(String),
    `customer_phone` Nullable(String),
    `started_at` DateTime64(3, 'UTC'),
    `answered_at` Nullable(DateTime64(3, 'UTC')),
    `ended_at` Nullable(DateTime64(3, 'UTC')),
    `is_abandoned` Int8,
    `cost` Decimal(18, 4),
    `tags` Nullable(String),
    `notes` Nullable(String),
    `updated_at` DateTime64(6, 'UTC'),
    `_shard` LowCardinality(String),
    `_partition` UInt32,
    `_offset` UInt64,
    `_version` UInt64,
    `_deleted` UInt8,
    `_committed_at` DateTime64(3, 'UTC'),
    `_file` LowCardinality(String),
    `_pos` UInt64,
    `_row` UInt32,
    `_landed_at` DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(_version, _deleted)
PARTITION BY toYYYYMM(`started_at`)
ORDER BY (`account_id`, `started_at`, `interaction_id`, `_shard`)
TTL toDateTime(`started_at`) + toIntervalDay(90)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE OR REPLACE VIEW base.`interactions` AS
SELECT
    `interaction_id`,
    `account_id`,
    `channel`,
    `direction`,
    `state`,
    `queue_id`,
    `agent_id`,
    `customer_name`,
    `customer_phone`,
    `started_at`,
    `answered_at`,
    `ended_at`,
    `is_abandoned`,
    `cost`,
    `tags`,
    `notes`,
    `updated_at`,
    `_shard`,
    `_partition`,
    `_offset`,
    `_version`,
    `_deleted`,
    `_committed_at`,
    `_file`,
    `_pos`,
    `_row`,
    `_landed_at`
FROM landed.`interactions` FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
