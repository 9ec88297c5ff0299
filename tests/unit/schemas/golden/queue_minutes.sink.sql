CREATE TABLE `queue_minutes_sink` (
    `account_id` BIGINT,
    `queue_id` BIGINT,
    `minute` TIMESTAMP(3),
    `before` ROW<`account_id` BIGINT, `queue_id` BIGINT, `minute` TIMESTAMP(3), `offered` BIGINT, `answered` BIGINT, `abandoned` BIGINT, `short_abandons` BIGINT, `answer_delay_ms` BIGINT, `within_target` BIGINT, `handled` BIGINT, `handle_ms` BIGINT>,
    `after` ROW<`account_id` BIGINT, `queue_id` BIGINT, `minute` TIMESTAMP(3), `offered` BIGINT, `answered` BIGINT, `abandoned` BIGINT, `short_abandons` BIGINT, `answer_delay_ms` BIGINT, `within_target` BIGINT, `handled` BIGINT, `handle_ms` BIGINT>,
    `source` ROW<`connector` STRING NOT NULL, `db` STRING NOT NULL, `ts_ms` BIGINT NOT NULL, `snapshot` STRING, `file` STRING NOT NULL, `pos` BIGINT NOT NULL, `row` INT NOT NULL> NOT NULL,
    `op` STRING NOT NULL,
    PRIMARY KEY (`account_id`, `queue_id`, `minute`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'realtime.queue_minutes',
    'properties.bootstrap.servers' = 'kafka:9092',
    'properties.transaction.timeout.ms' = '600000',
    'key.format' = 'json',
    'key.json.timestamp-format.standard' = 'ISO-8601',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = 'http://registry/apis/ccompat/v7',
    'value.fields-include' = 'EXCEPT_KEY',
    'sink.delivery-guarantee' = 'at-least-once',
    'sink.transactional-id-prefix' = 'realtime.queue_minutes'
);

INSERT INTO `queue_minutes_sink`
SELECT CAST(`account_id` AS BIGINT), CAST(`queue_id` AS BIGINT), CAST(`minute` AS TIMESTAMP(3)), CAST(NULL AS ROW<`account_id` BIGINT, `queue_id` BIGINT, `minute` TIMESTAMP(3), `offered` BIGINT, `answered` BIGINT, `abandoned` BIGINT, `short_abandons` BIGINT, `answer_delay_ms` BIGINT, `within_target` BIGINT, `handled` BIGINT, `handle_ms` BIGINT>), ROW(CAST(`account_id` AS BIGINT), CAST(`queue_id` AS BIGINT), CAST(`minute` AS TIMESTAMP(3)), CAST(`offered` AS BIGINT), CAST(`answered` AS BIGINT), CAST(`abandoned` AS BIGINT), CAST(`short_abandons` AS BIGINT), CAST(`answer_delay_ms` AS BIGINT), CAST(`within_target` AS BIGINT), CAST(`handled` AS BIGINT), CAST(`handle_ms` AS BIGINT)), ROW('flink', '', COALESCE(`committed_ms`, 0), CAST(NULL AS STRING), '', CAST(0 AS BIGINT), 0), 'u'
FROM (
SELECT * FROM results
);
