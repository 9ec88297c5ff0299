"""Rows of MySQL, of every kind, reach ClickHouse as they are."""

from __future__ import annotations

import json
import re

import pytest

from core.clients import mysql
from simulator.source import SQL
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually

EVERY_TYPE = """
CREATE TABLE every_type (
    id BIGINT NOT NULL PRIMARY KEY, tiny TINYINT, tiny_u TINYINT UNSIGNED, small SMALLINT,
    small_u SMALLINT UNSIGNED,
    medium MEDIUMINT, medium_u MEDIUMINT UNSIGNED, plain INT, plain_u INT UNSIGNED, big BIGINT,
    big_u BIGINT UNSIGNED,
    dec_small DECIMAL(5, 2), dec_big DECIMAL(65, 30), single FLOAT, double_ DOUBLE, flag TINYINT(1),
    day DATE, clock TIME,
    clock6 TIME(6), year_ YEAR, moment DATETIME, moment3 DATETIME(3), moment6 DATETIME(6),
    stamp TIMESTAMP NULL,
    stamp6 TIMESTAMP(6) NULL, choice ENUM('a', 'b,c', 'ü'), choices SET('x', 'y', 'z'), document JSON,
    bit1 BIT(1),
    bits BIT(64), fixed BINARY(8), raw VARBINARY(100), letters VARCHAR(200), long_text LONGTEXT,
    defaulted INT NOT NULL DEFAULT 7, defaulted_null INT DEFAULT 9
)"""

COLUMN = re.compile(r"( (?:[A-Z]+(?:\([^)]*\))?(?: UNSIGNED)?))(?: NULL)?(?=,|\n\))")
REQUIRED = (
    COLUMN.sub(r"\1 NOT NULL", EVERY_TYPE)
    .replace("every_type", "every_type_required")
    .replace("DEFAULT 9", "NOT NULL DEFAULT 9")
)

HIGH = """
INSERT INTO every_type VALUES (%s, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295,
9223372036854775807,
    18446744073709551615, 999.99, 12345678901234567890123456789012345.123456789012345678901234567890,
    3.4e38, 1.7e308, 1,
    '9999-12-31', '838:59:59', '838:59:58.999999', 2155, '9999-12-31 23:59:59', '9999-12-31 23:59:59.999',
    '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999', 'ü', 'x,z',
    '{"a": [1, 2.50, null, "s p a c e"], "é": "😀"}', b'1', 0xFFFFFFFFFFFFFFFF, 'abc', x'00FF0000',
    'emoji 😀 ünï', 'long', 1, 1)
"""
LOW = """
INSERT INTO every_type VALUES (%s, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808,
0, -999.99,
    -0.000000000000000000000000000001, 1e-38, -2.5e-308, 0, '1000-01-01', '-838:59:59', '-00:00:00.000001',
    1901,
    '1000-01-01 00:00:00', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.999999', '1970-01-01 00:00:01',
    '1970-01-01 00:00:01.000001', 'a', '', '[]', b'0', 0, x'0000000000000000', '', '', '', -1, 0)
"""


def make_types(pipeline: Pipeline, database: str) -> None:
    pipeline.sql(f"CREATE DATABASE {database}")
    pipeline.sql(EVERY_TYPE, database=database)


def make_shard(pipeline: Pipeline, database: str) -> None:
    pipeline.sql(f"CREATE DATABASE {database}")
    for statement in (SQL / "shard.sql").read_text().split(";\n"):
        if statement.strip():
            pipeline.sql(statement, database=database)


def survey(pipeline: Pipeline, database: str, identity: int, comment: str | None = "fine") -> None:
    pipeline.sql(
        "INSERT INTO surveys VALUES (%s, 1, 1, 5, 0.5, %s, NOW())", identity, comment, database=database
    )


def interaction(pipeline: Pipeline, database: str, identity: int, tags: str = "{}") -> None:
    pipeline.sql(
        "INSERT INTO interactions (interaction_id, account_id, channel, state, started_at, tags) "
        "VALUES (%s, 1, 'voice', 'queued', NOW(3), %s)",
        identity,
        tags,
        database=database,
    )


def landed_count(pipeline: Pipeline, table: str, shard: str, rows: int) -> bool:
    found = pipeline.landed(f"SELECT count() FROM base.`{table}` WHERE _shard = '{shard}'")
    return bool(found[0][0] == rows)


def test_every_type_is_equal_after_inserts_updates_and_deletes(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(pipeline, shard)
    pipeline.sql(HIGH, 1, database=shard)
    pipeline.sql(LOW, 2, database=shard)
    for identity in (3, 4, 5):
        pipeline.sql("INSERT INTO every_type (id) VALUES (%s)", identity, database=shard)
    pipeline.sql("UPDATE every_type SET tiny = NULL, letters = 'new' WHERE id = 4", database=shard)
    pipeline.sql("DELETE FROM every_type WHERE id = 5", database=shard)
    eventually(lambda: landed_count(pipeline, "every_type", shard, 4))
    assert pipeline.equal("every_type", shards=(shard,))


def test_every_type_is_equal_where_no_null_is_allowed(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    pipeline.sql(f"CREATE DATABASE {shard}")
    pipeline.sql(REQUIRED, database=shard)
    assert pipeline.sql(
        f"SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = '{shard}' AND is_nullable = "
        "'YES'"
    ) == [(0,)]
    for number, row in enumerate((HIGH, LOW, HIGH, LOW), 1):
        pipeline.sql(row.replace("every_type", "every_type_required"), number, database=shard)
    pipeline.sql("UPDATE every_type_required SET tiny = 1, letters = 'new' WHERE id = 3", database=shard)
    pipeline.sql("DELETE FROM every_type_required WHERE id = 4", database=shard)
    eventually(lambda: landed_count(pipeline, "every_type_required", shard, 3))
    assert pipeline.equal("every_type_required", shards=(shard,))


def test_nulls_and_values_of_every_type_land_in_one_batch(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(pipeline, shard)
    with mysql.cursor(pipeline.endpoints.mysql[0], shard) as cursor:
        cursor.execute("BEGIN")
        for identity in range(1, 201, 4):
            cursor.execute(HIGH, (identity,))
            cursor.execute("INSERT INTO every_type (id) VALUES (%s)", (identity + 1,))
            cursor.execute(LOW, (identity + 2,))
            cursor.execute("INSERT INTO every_type (id, defaulted_null) VALUES (%s, NULL)", (identity + 3,))
        cursor.execute("COMMIT")
    eventually(lambda: landed_count(pipeline, "every_type", shard, 200))
    assert pipeline.equal("every_type", shards=(shard,))
    reported = (pipeline.home / "logs" / "lander.log").read_text().splitlines()
    assert [line for line in reported if "every_type" in line and "cannot land" in line] == []


def test_null_in_a_column_with_a_default(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(pipeline, shard)
    pipeline.sql("INSERT INTO every_type (id, defaulted_null) VALUES (1, NULL)", database=shard)
    eventually(lambda: landed_count(pipeline, "every_type", shard, 1))
    assert pipeline.equal("every_type", shards=(shard,))


def test_rows_without_an_event_come_by_a_snapshot(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(pipeline, shard)
    unlogged(
        pipeline, shard, HIGH % "1", LOW % "2", "INSERT INTO every_type (id, defaulted_null) VALUES (3, NULL)"
    )
    unlogged(
        pipeline,
        shard,
        "INSERT INTO every_type (id, single, double_) VALUES (4, 1e0/3, 1e0/3), (5, -605410.875, 0.1), (6, "
        "0, 0)",
    )
    assert pipeline.apply() >= 1
    eventually(lambda: landed_count(pipeline, "every_type", shard, 6))
    assert pipeline.equal("every_type", shards=(shard,))


def test_a_server_in_another_time_zone_changes_no_value(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("types")
    pipeline.sql("SET GLOBAL time_zone = '+05:30'")
    try:
        assert pipeline.command("connectors", "restart", "mysql-main").returncode == 0
        pipeline.heal()
        make_types(pipeline, shard)
        pipeline.sql(HIGH, 1, database=shard)
        unlogged(pipeline, shard, HIGH % "2", LOW % "3")
        assert pipeline.apply() >= 1
        eventually(lambda: landed_count(pipeline, "every_type", shard, 3))
        assert pipeline.equal("every_type", shards=(shard,))
    finally:
        pipeline.sql("SET GLOBAL time_zone = '+00:00'")
        pipeline.command("connectors", "restart", "mysql-main")
        pipeline.heal()


def unlogged(pipeline: Pipeline, database: str, *statements: str) -> None:
    """What the binlog does not hold, as if it were purged."""
    with mysql.cursor(pipeline.endpoints.mysql[0], database) as cursor:
        cursor.execute("SET sql_log_bin = 0")
        for statement in statements:
            cursor.execute(statement)


def test_odd_names_and_a_composite_key(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("odd")
    pipeline.sql(f"CREATE DATABASE {shard}")
    pipeline.sql(
        "CREATE TABLE `order items` (`select` VARCHAR(20) NOT NULL, `line no` SMALLINT UNSIGNED NOT NULL, "
        "`it's ``quoted``` TEXT, `2nd` INT, source INT, op INT, image INT, gone INT, `before` INT, `after` "
        "INT, _mine INT, "
        "`key` INT, `offset` INT, PRIMARY KEY (`select`, `line no`))",
        database=shard,
    )
    insert = (
        "INSERT INTO `order items` (`select`, `line no`, `it's ``quoted```, `2nd`) VALUES (%s, %s, %s, %s)"
    )
    for row in (("a", 1, "it's", 2), ("a", 2, None, None), ("ß'\\", 65535, "`", -1)):
        pipeline.sql(insert, *row, database=shard)
    pipeline.sql("DELETE FROM `order items` WHERE `line no` = 2", database=shard)
    envelope = (
        "source = 1, op = 2, image = 3, gone = 4, `before` = 5, `after` = 6, _mine = 7, `key` = 8, `offset` "
        "= 9"
    )
    pipeline.sql(f"UPDATE `order items` SET {envelope} WHERE `line no` = 1", database=shard)
    eventually(lambda: landed_count(pipeline, "order items", shard, 2))
    assert pipeline.equal("order items", shards=(shard,))
    unlogged(pipeline, shard, "INSERT INTO `order items` (`select`, `line no`) VALUES ('by a snapshot', 3)")
    assert (
        pipeline.command("connectors", "snapshot", "order items", "--where", "`line no` = 3").returncode == 0
    )
    eventually(lambda: pipeline.equal("order items", shards=(shard,)))


def test_a_contract_s_unique_key_counts_whichever_debezium_would_choose(
    pipeline: Pipeline, space: Space
) -> None:
    shard = space.name("odd")
    pipeline.sql(f"CREATE DATABASE {shard}")
    create = (
        "CREATE TABLE two_unique_keys (b INT NOT NULL, a INT NOT NULL, v INT, UNIQUE zz (b), UNIQUE aa (a))"
    )
    pipeline.sql(create, database=shard)
    unlogged(pipeline, shard, "INSERT INTO two_unique_keys VALUES (5, 50, 1), (6, 60, 1)")
    for change in (
        "INSERT INTO two_unique_keys VALUES (1, 10, 1), (2, 20, 1), (3, 30, 1)",
        "UPDATE two_unique_keys SET b = b + 100",
        "DELETE FROM two_unique_keys WHERE a = 30",
        "UPDATE two_unique_keys SET a = 11 WHERE a = 10",
    ):
        pipeline.sql(change, database=shard)
    assert pipeline.command("connectors", "snapshot", "two_unique_keys").returncode == 0
    eventually(lambda: landed_count(pipeline, "two_unique_keys", shard, 4))
    assert pipeline.equal("two_unique_keys", shards=(shard,))


def test_the_same_key_in_two_shards_is_two_rows(pipeline: Pipeline, space: Space) -> None:
    left, right = space.name("acc_l"), space.name("acc_r")
    for shard, comment in ((left, "left"), (right, "right")):
        make_shard(pipeline, shard)
        survey(pipeline, shard, 1, comment)
    eventually(
        lambda: landed_count(pipeline, "surveys", left, 1) and landed_count(pipeline, "surveys", right, 1)
    )
    assert pipeline.equal("surveys", shards=(left, right))


def test_an_empty_table_is_equal(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    assert pipeline.equal("surveys", shards=(shard,))


def test_a_json_value_of_a_megabyte(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    interaction(pipeline, shard, 1, json.dumps({"text": "😀é " * 120_000}))
    eventually(lambda: landed_count(pipeline, "interactions", shard, 1))
    assert pipeline.equal("interactions", shards=(shard,))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE interactions SET interaction_id = 100 WHERE interaction_id = 1",
        "UPDATE interactions SET started_at = started_at - INTERVAL 40 DAY WHERE interaction_id = 1",
    ],
    ids=["primary key", "immutable column"],
)
def test_a_row_that_moves_leaves_no_ghost(pipeline: Pipeline, space: Space, change: str) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    interaction(pipeline, shard, 1)
    interaction(pipeline, shard, 2)
    eventually(lambda: landed_count(pipeline, "interactions", shard, 2))
    pipeline.sql(change, database=shard)
    interaction(pipeline, shard, 3)
    eventually(lambda: landed_count(pipeline, "interactions", shard, 3))
    assert pipeline.equal("interactions", shards=(shard,))


def test_a_new_column_is_added_nullable_and_its_values_land(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1)
    pipeline.sql("ALTER TABLE surveys ADD COLUMN channel_hint VARCHAR(20)", database=shard)
    pipeline.sql("INSERT INTO surveys VALUES (2, 1, 1, 5, 0.5, 'x', NOW(), 'chat')", database=shard)
    eventually(lambda: landed_count(pipeline, "surveys", shard, 2))
    found = pipeline.landed(
        f"SELECT survey_id, channel_hint FROM base.surveys WHERE _shard = '{shard}' ORDER BY 1"
    )
    assert found == [(1, None), (2, "chat")]
    assert pipeline.equal("surveys", shards=(shard,))
