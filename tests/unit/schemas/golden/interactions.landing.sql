INSERT INTO landed.`interactions` (`interaction_id`, `account_id`, `channel`, `direction`, `state`, `queue_id`, `agent_id`, `customer_name`, `customer_phone`, `started_at`, `answered_at`, `ended_at`, `is_abandoned`, `cost`, `tags`, `notes`, `updated_at`, `_shard`, `_partition`, `_offset`, `_version`, `_deleted`, `_committed_at`, `_file`, `_pos`, `_row`, `_landed_at`)
SELECT
    CAST(toUInt64(tupleElement(row_image, 'interaction_id')), 'UInt64') AS `interaction_id`,
    accurateCast(tupleElement(row_image, 'account_id'), 'UInt32') AS `account_id`,
    CAST(tupleElement(row_image, 'channel'), 'LowCardinality(String)') AS `channel`,
    CAST(tupleElement(row_image, 'direction'), 'LowCardinality(String)') AS `direction`,
    CAST(tupleElement(row_image, 'state'), 'LowCardinality(String)') AS `state`,
    accurateCast(tupleElement(row_image, 'queue_id'), 'Nullable(UInt32)') AS `queue_id`,
    accurateCast(tupleElement(row_image, 'agent_id'), 'Nullable(UInt32)') AS `agent_id`,
    CAST(tupleElement(row_image, 'customer_name'), 'Nullable(String)') AS `customer_name`,
    CAST(tupleElement(row_image, 'customer_phone'), 'Nullable(String)') AS `customer_phone`,
    if(tupleElement(row_image, 'started_at') < -62167219200000, defaultValueOfTypeName('DateTime64(3, \'UTC\')'), CAST(fromUnixTimestamp64Milli(tupleElement(row_image, 'started_at'), 'UTC'), 'DateTime64(3, \'UTC\')')) AS `started_at`,
    if(tupleElement(row_image, 'answered_at') < -62167219200000, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))'), CAST(fromUnixTimestamp64Milli(tupleElement(row_image, 'answered_at'), 'UTC'), 'Nullable(DateTime64(3, \'UTC\'))')) AS `answered_at`,
    if(tupleElement(row_image, 'ended_at') < -62167219200000, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))'), CAST(fromUnixTimestamp64Milli(tupleElement(row_image, 'ended_at'), 'UTC'), 'Nullable(DateTime64(3, \'UTC\'))')) AS `ended_at`,
    accurateCast(tupleElement(row_image, 'is_abandoned'), 'Int8') AS `is_abandoned`,
    CAST(tupleElement(row_image, 'cost'), 'Decimal(18, 4)') AS `cost`,
    CAST(tupleElement(row_image, 'tags'), 'Nullable(String)') AS `tags`,
    CAST(tupleElement(row_image, 'notes'), 'Nullable(String)') AS `notes`,
    if(startsWith(tupleElement(row_image, 'updated_at'), '-'), defaultValueOfTypeName('DateTime64(6, \'UTC\')'), CAST(parseDateTime64BestEffort(if(startsWith(tupleElement(row_image, 'updated_at'), '-'), '1970-01-01', tupleElement(row_image, 'updated_at')), 6, 'UTC'), 'DateTime64(6, \'UTC\')')) AS `updated_at`,
    source.db AS _shard,
    toUInt32(_partition) AS _partition,
    toUInt64(_offset) AS _offset,
    if(source.connector = 'switchboard', bitOr(toUInt64(source.pos), 1), bitOr(toUInt64(281474976710656), bitShiftLeft(toUInt64(_offset), 1))) AS _version,
    is_delete AS _deleted,
    fromUnixTimestamp64Milli(source.ts_ms, 'UTC') AS _committed_at,
    source.file AS _file,
    toUInt64(source.pos) AS _pos,
    toUInt32(source.row) AS _row,
    now64(3, 'UTC') AS _landed_at
FROM (SELECT *, arrayJoin(if(op = 'u' AND (ifNull(tupleElement(before, 'account_id') != tupleElement(after, 'account_id'), 0) OR ifNull(tupleElement(before, 'started_at') != tupleElement(after, 'started_at'), 0)), [1, 0], [toUInt8(op = 'd')])) AS is_delete, if(is_delete, before, after) AS row_image
    FROM input('_offset Int64, _partition Int32, before Nullable(Tuple(`interaction_id` Int64, `account_id` Int64, `channel` String, `direction` String, `state` String, `queue_id` Nullable(Int64), `agent_id` Nullable(Int64), `customer_name` Nullable(String), `customer_phone` Nullable(String), `started_at` Int64, `answered_at` Nullable(Int64), `ended_at` Nullable(Int64), `is_abandoned` Int32, `cost` Decimal(18, 4), `tags` Nullable(String), `notes` Nullable(String), `updated_at` String)), after Nullable(Tuple(`interaction_id` Int64, `account_id` Int64, `channel` String, `direction` String, `state` String, `queue_id` Nullable(Int64), `agent_id` Nullable(Int64), `customer_name` Nullable(String), `customer_phone` Nullable(String), `started_at` Int64, `answered_at` Nullable(Int64), `ended_at` Nullable(Int64), `is_abandoned` Int32, `cost` Decimal(18, 4), `tags` Nullable(String), `notes` Nullable(String), `updated_at` String)), source Tuple(`version` String, `connector` String, `name` String, `ts_ms` Int64, `snapshot` Nullable(String), `db` String, `sequence` Nullable(String), `ts_us` Nullable(Int64), `ts_ns` Nullable(Int64), `table` Nullable(String), `server_id` Int64, `gtid` Nullable(String), `file` String, `pos` Int64, `row` Int32, `thread` Nullable(Int64), `query` Nullable(String)), op String, _offset_again Int64'))
WHERE throwIf(_offset != _offset_again, 'the record was split at a wrong offset') = 0
  AND throwIf(isNull(row_image), 'the record has no row image') = 0
  AND throwIf(ifNull(tupleElement(row_image, 'started_at') < -62167219200000, 0), 'column started_at: a zero date, and its contract does not say what it becomes') = 0
  AND throwIf(ifNull(tupleElement(row_image, 'answered_at') < -62167219200000 AND NOT is_delete AND NOT ((intDiv(86399999 - tupleElement(row_image, 'answered_at'), 86400000) - 719529) < 512 OR (intDiv(86399999 - tupleElement(row_image, 'answered_at'), 86400000) - 719529) % 512 < 32 OR (intDiv(86399999 - tupleElement(row_image, 'answered_at'), 86400000) - 719529) % 32 = 0), 0), 'column answered_at: the date does not exist') = 0
  AND throwIf(ifNull(tupleElement(row_image, 'ended_at') < -62167219200000 AND NOT is_delete AND NOT ((intDiv(86399999 - tupleElement(row_image, 'ended_at'), 86400000) - 719529) < 512 OR (intDiv(86399999 - tupleElement(row_image, 'ended_at'), 86400000) - 719529) % 512 < 32 OR (intDiv(86399999 - tupleElement(row_image, 'ended_at'), 86400000) - 719529) % 32 = 0), 0), 'column ended_at: the date does not exist') = 0
  AND throwIf(ifNull(startsWith(tupleElement(row_image, 'updated_at'), '-') AND NOT is_delete, 0), 'column updated_at: a zero date, and its contract does not say what it becomes') = 0
SETTINGS max_partitions_per_insert_block = 0, async_insert = 0, max_insert_threads = 1, max_insert_block_size = 8192, optimize_on_insert = 0, prefer_column_name_to_alias = 1
FORMAT Avro
