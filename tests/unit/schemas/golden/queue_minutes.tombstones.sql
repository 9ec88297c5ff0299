INSERT INTO landed.`queue_minutes` (`account_id`, `queue_id`, `minute`, _shard, _partition, _offset, _version, _deleted, _committed_at, _landed_at)
SELECT JSONExtract(key, 'account_id', 'UInt32'), JSONExtract(key, 'queue_id', 'UInt32'), JSONExtract(key, 'minute', 'DateTime64(3, \'UTC\')'), '', _partition, _offset, bitOr(toUInt64(281474976710656), bitShiftLeft(_offset, 1)), 1, now64(3, 'UTC'), now64(3, 'UTC')
FROM input('key String, _partition UInt32, _offset UInt64')
SETTINGS max_partitions_per_insert_block = 0, async_insert = 0, max_insert_threads = 1, max_insert_block_size = 8192, optimize_on_insert = 0, prefer_column_name_to_alias = 1
FORMAT JSONEachRow
