"""Equal values have equal checksums in the real servers, and each changed value is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.settings import Endpoints
from schemas import privacy as p
from schemas import types as t
from schemas.names import mysql_name
from schemas.render.checksum import Scope
from schemas.render.clickhouse import storage_table
from schemas.table import ClickHouse, Column, Latest, Shards, Table, immutable, optional, required
from tests.stack.verify.verify_bench import Bench, Space, make
from verify.bisect import ComparisonPair, Options, scan

TYPES: tuple[tuple[str, str, t.Type, list[tuple[str, str]]], ...] = (
    ("tiny", "TINYINT", t.Int(8), [("-128", "-128"), ("127", "127"), ("0", "0")]),
    ("medium", "MEDIUMINT", t.Int(24), [("-8388608", "-8388608"), ("8388607", "8388607")]),
    ("big", "BIGINT", t.Int(64), [("-9223372036854775808", "-9223372036854775808"), ("1", "1")]),
    ("ubig", "BIGINT UNSIGNED", t.UInt(64), [("18446744073709551615", "18446744073709551615"), ("0", "0")]),
    ("zero_filled", "INT(8) UNSIGNED ZEROFILL", t.UInt(32), [("42", "42"), ("4294967295", "4294967295")]),
    (
        "amount",
        "DECIMAL(18,4)",
        t.Decimal(18, 4),
        [("-0.5", "-0.5"), ("99999999999999.9999", "'99999999999999.9999'")],
    ),
    (
        "widest",
        "DECIMAL(65,30)",
        t.Decimal(65, 30),
        [("-12345678901234567890123456789012345.000000000000000000000000000001",) * 2, ("0", "0")],
    ),
    (
        "single",
        "FLOAT",
        t.Float(32),
        [("3.14159274", "3.14159274"), ("-1.5e-20", "-1.5e-20"), ("16777216", "16777216")],
    ),
    (
        "read_again",
        "FLOAT",
        t.Float(32),
        [("1e0 / 3", "0.333333"), ("605410.5", "605410"), ("605411.5", "605412")],
    ),
    ("money", "FLOAT(10, 2)", t.Float(32), [("123456.789", "123457"), ("1.5", "1.5")]),
    (
        "double_one",
        "DOUBLE",
        t.Float(64),
        [("0.1", "0.1"), ("1e300", "1e300"), ("123456789012345678", "123456789012345678")],
    ),
    ("flag", "TINYINT(1)", t.Bool(), [("1", "1"), ("0", "0"), ("-1", "-1")]),
    ("day", "DATE", t.Date(), [("'1000-01-01'", "-354285::Int32"), ("'9999-12-31'", "2932896::Int32")]),
    ("span", "TIME(6)", t.Time(6), [("'-838:59:58.999999'", "-3020398999999"), ("'00:00:00.000001'", "1")]),
    ("half", "TIME(3)", t.Time(3), [("'-00:00:00.5'", "-500000"), ("'12:00:00'", "43200000000")]),
    ("vintage", "YEAR", t.Year(), [("1901", "1901"), ("2155", "2155"), ("0", "NULL")]),
    (
        "wall",
        "DATETIME(6)",
        t.DateTime(6),
        [
            ("'9999-12-31 23:59:59.999999'", "fromUnixTimestamp64Micro(253402300799999999, 'UTC')"),
            ("'1000-01-01 00:00:00.000001'", "fromUnixTimestamp64Micro(-30610223999999999, 'UTC')"),
        ],
    ),
    (
        "wall0",
        "DATETIME",
        t.DateTime(0),
        [("'9999-12-31 23:59:59'", "fromUnixTimestamp64Milli(253402300799000, 'UTC')")],
    ),
    (
        "instant",
        "TIMESTAMP(3) NULL",
        t.Timestamp(3),
        [
            ("'1970-01-01 00:00:01.5'", "fromUnixTimestamp64Milli(1500, 'UTC')"),
            ("'2038-01-19 03:14:07'", "'2038-01-19 03:14:07'"),
        ],
    ),
    (
        "text",
        "LONGTEXT",
        t.Text(),
        [("'📞 ‘x’'", "'📞 ‘x’'"), ("''", "''"), ("REPEAT('ü', 3000)", "repeat('ü', 3000)")],
    ),
    ("fixed", "CHAR(10)", t.Text(), [("'ab'", "'ab'"), ("'N'", "'N'")]),
    ("old", "VARCHAR(10) CHARACTER SET latin1", t.Text(), [("'é€'", "'é€'")]),
    ("state", "ENUM('on','o''ff','')", t.Enum(), [("'o''ff'", "'o\\'ff'"), ("''", "''")]),
    ("skills", "SET('a','b','c')", t.Set(), [("'c,a'", "'a,c'"), ("''", "''")]),
    (
        "doc",
        "JSON",
        t.Json(),
        [
            ('\'{"b": [1, {"c": "x, y: z"}], "é": null}\'', '\'{ "b":[1,{"c":"x, y: z"}],\\n"é":null}\''),
            ("'{\"n\": 1.5e300}'", "'{\"n\":1.5E300}'"),
            ("'\"a: b , c\"'", "'\"a: b , c\"'"),
        ],
    ),
    (
        "bits",
        "BIT(64)",
        t.Bit(64),
        [("b'1000000000000000000000000000000000000000000000000000000000000001'", "9223372036854775809")],
    ),
    ("bit_one", "BIT(1)", t.Bit(1), [("b'1'", "1"), ("b'0'", "0")]),
    ("raw", "VARBINARY(20)", t.Binary(), [("x'00ff80'", "unhex('00ff80')"), ("x''", "''")]),
    ("padded", "BINARY(4)", t.Binary(4), [("x'01'", "unhex('01000000')")]),
    ("blob", "LONGBLOB", t.Binary(), [("REPEAT(x'00', 100000)", "repeat(unhex('00'), 100000)")]),
)
"""name, MySQL's declaration, the contract's type, (MySQL's literal, ClickHouse's literal) of equal values."""

NAMES = {"big": "select", "text": "a`b 'c\" %s", "doc": "position", "state": "text"}


@pytest.fixture
def every_type(stack: Endpoints, space: Space) -> Iterator[Bench]:
    columns = [required(1, "id", t.UInt(64), p.PUBLIC)]
    declared = ["id BIGINT UNSIGNED PRIMARY KEY"]
    for field_id, (name, declaration, kind, _) in enumerate(TYPES, 2):
        columns.append(optional(field_id, NAMES.get(name, name), kind, p.PUBLIC))
        declared.append(f"{mysql_name(NAMES.get(name, name))} {declaration}")
    name = space.name("vt_every `type's")
    table = Table(name, Shards("vt_*"), ("id",), Latest(), tuple(columns))
    yield from make(stack, space, table, ", ".join(declared))


def fill(bench: Bench) -> int:
    """A row for each value, and one of NULLs. Returns how many."""
    bench.mysql(f"INSERT INTO {bench.mysql_table} (id) VALUES (0)")
    bench.land({"id": "0"})
    identity = 0
    for name, _, _, values in TYPES:
        column = NAMES.get(name, name)
        for source, target in values:
            identity += 1
            bench.mysql(
                f"INSERT INTO {bench.mysql_table} (id, {mysql_name(column)}) VALUES ({identity}, {source})"
            )
            kind = next(c for c in bench.table.columns if c.name == column)
            bench.land({"id": str(identity), column: _typed(kind, target)})
    return identity + 1


def _typed(column: Column, literal: str) -> str:
    if isinstance(column.type, t.Decimal):
        return f"CAST('{literal.strip(chr(39))}', 'Decimal({column.type.precision}, {column.type.scale})')"
    return literal


def test_the_same_values_have_the_same_checksums(every_type: Bench) -> None:
    rows = fill(every_type)
    result = every_type.verify()
    assert (result.answer, result.reason, result.differences) == ("equal", "", ())
    assert (result.rows_source, result.rows_clickhouse) == (rows, rows)


def test_a_value_changed_in_any_type_is_found(every_type: Bench) -> None:
    fill(every_type)
    identity = 0
    expected = {}
    for name, _, _, values in TYPES:
        for index in range(len(values)):
            identity += 1
            changed = "NULL" if len(values) == 1 else values[(index + 1) % len(values)][1]
            column = every_type.table.column(NAMES.get(name, name))
            value = changed if changed == "NULL" else _typed(column, changed)
            every_type.land({"id": str(identity), column.name: value}, version=4)
            expected[str(identity)] = (column.name,)
    result = every_type.verify()
    found = {dict(row.key)["id"]: tuple(column.name for column in row.columns) for row in result.differences}
    assert found == expected


@pytest.mark.parametrize(
    ("column", "source", "target"),
    [
        ("fixed", "''", "NULL"),
        ("fixed", "NULL", "''"),
        ("fixed", "'N'", "NULL"),
        ("position", '\'{"a": "b c"}\'', '\'{"a": "bc"}\''),
        ("position", "'{\"a\": 1}'", "'{\"a\": true}'"),
        ("raw", "x'00'", "'0'"),
        ("select", "0", "NULL"),
        ("half", "'-00:00:00.001'", "1000"),
        ("fixed", "'a'", "'A'"),
        ("fixed", "'e'", "'é'"),
        ("wall0", "'2024-02-29 00:00:00'", "'2024-02-29 00:00:01'"),
    ],
)
def test_what_is_nearly_equal_differs(every_type: Bench, column: str, source: str, target: str) -> None:
    every_type.mysql(f"INSERT INTO {every_type.mysql_table} (id, {mysql_name(column)}) VALUES (1, {source})")
    every_type.land({"id": "1", column: target})
    result = every_type.verify()
    assert (result.answer, [row.kind for row in result.differences]) == ("different", ["differs"])


@pytest.fixture
def keyed_by_text(stack: Endpoints, space: Space) -> Iterator[Bench]:
    table = Table(
        space.name("vt_keyed"),
        Shards("vt_*"),
        ("code", "day"),
        Latest(),
        (
            immutable(1, "code", t.Text(), p.PUBLIC),
            immutable(2, "day", t.Date(), p.PUBLIC),
            optional(3, "name", t.Text(), p.REDACT),
        ),
        clickhouse=ClickHouse(order_by=("day", "code")),
    )
    columns = "code VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, day DATE, name TEXT, PRIMARY KEY (code, day)"
    yield from make(stack, space, table, columns)


def test_text_keys_are_chunked_by_hash_and_values_are_masked(keyed_by_text: Bench) -> None:
    bench = keyed_by_text
    count = 300
    rows = ", ".join(f"('k{n}', '2024-01-0{n % 9 + 1}', 'name {n}')" for n in range(count))
    bench.mysql(f"INSERT INTO {bench.mysql_table} VALUES {rows}")
    bench.clickhouse(
        f"INSERT INTO {storage_table(bench.table)} (code, day, name, _shard, _version) SELECT concat('k', "
        "toString(number)), "
        f"toDate32('2024-01-01') + number % 9, concat('name ', toString(number)), '{bench.shard}', 2 FROM "
        f"numbers({count})"
    )
    options = Options(chunk_rows=20, row_level_rows=2)
    assert bench.verify(options).answer == "equal"
    bench.mysql(f"UPDATE {bench.mysql_table} SET name = 'Bob' WHERE code = 'k7'")
    bench.mysql(f"DELETE FROM {bench.mysql_table} WHERE code = 'k8'")
    bench.mysql(f"INSERT INTO {bench.mysql_table} VALUES ('K8', '2024-01-09', '')")
    result = bench.verify(options)
    assert sorted((row.kind, dict(row.key)["code"]) for row in result.differences) == [
        ("differs", "k7"),
        ("extra in ClickHouse", "k8"),
        ("missing in ClickHouse", "K8"),
    ]
    (changed,) = [column for row in result.differences for column in row.columns]
    assert (changed.source, changed.clickhouse) == ("<3 chars>", "<6 chars>")


@pytest.fixture
def keyless(stack: Endpoints, space: Space) -> Iterator[Bench]:
    columns = (optional(1, "text", t.Text(), p.PUBLIC), optional(2, "number", t.Int(64), p.PUBLIC))
    table = Table(
        space.name("vt_keyless"),
        Shards("vt_*"),
        ("text", "number"),
        Latest(),
        columns,
        keyed_by_all_columns=True,
    )
    yield from make(stack, space, table, "text TEXT, number BIGINT")


def test_equal_rows_without_a_key_count_once(keyless: Bench) -> None:
    keyless.mysql(
        f"INSERT INTO {keyless.mysql_table} VALUES ('a', 1), ('a', 1), (NULL, NULL), (NULL, NULL), ('', 2)"
    )
    for text, number in (("'a'", "1"), ("NULL", "NULL"), ("''", "2")):
        keyless.land({"text": text, "number": number})
    result = keyless.verify()
    assert (result.answer, result.rows_source, result.rows_clickhouse) == ("equal", 3, 3)


@pytest.fixture
def large(stack: Endpoints, space: Space) -> Iterator[Bench]:
    columns = (required(1, "id", t.Int(64), p.PUBLIC), optional(2, "value", t.Int(64), p.PUBLIC))
    table = Table(space.name("vt_large"), Shards("vt_*"), ("id",), Latest(), columns)
    for bench in make(stack, space, table, "id BIGINT PRIMARY KEY, value BIGINT"):
        numbers = "WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT i"
        bench.mysql("SET cte_max_recursion_depth = 20000")
        bench.mysql(f"INSERT INTO {bench.mysql_table} {numbers} * 1000003 - 5000000000, i FROM n")
        bench.clickhouse(
            f"INSERT INTO {storage_table(table)} (id, value, _shard, _version) "
            f"SELECT toInt64(number) * 1000003 - 5000000000, number, '{bench.shard}', 2 FROM numbers(10000)"
        )
        yield bench


SMALL = Options(batch_rows=2500, chunk_rows=100, row_level_rows=10)


def test_many_passes_over_sparse_keys(large: Bench) -> None:
    assert large.verify(SMALL).answer == "equal"
    large.mysql(f"UPDATE {large.mysql_table} SET value = -1 WHERE value IN (0, 4999, 9999)")
    large.land({"id": "-9223372036854775808"})
    large.land({"id": "9223372036854775807"})
    result = large.verify(SMALL)
    assert (result.answer, result.reason) == ("different", "2 extra in ClickHouse; 3 differ")


def test_more_differences_than_can_be_listed_are_reported_as_ranges(large: Bench) -> None:
    large.mysql(f"UPDATE {large.mysql_table} SET value = -1")
    result = large.verify(Options(batch_rows=2500, chunk_rows=100, row_level_rows=10, detail_rows=50))
    assert result.answer == "different"
    assert result.unresolved_ranges
    assert 50 <= len(result.differences) < 500


@pytest.fixture
def encoded(stack: Endpoints, space: Space) -> Iterator[Bench]:
    columns = (
        required(1, "id", t.Int(64), p.PUBLIC),
        optional(2, "number", t.Float(64), p.PUBLIC),
        optional(3, "doc", t.Json(), p.PUBLIC),
        immutable(4, "day", t.Date(), p.PUBLIC),
    )
    table = Table(
        space.name("vt_encoded"),
        Shards("vt_*"),
        ("id",),
        Latest(),
        columns,
        clickhouse=ClickHouse(order_by=("day", "id")),
    )
    yield from make(stack, space, table, "id BIGINT PRIMARY KEY, number DOUBLE, doc JSON, day DATE")


FEW = Options(row_level_rows=10, detail_rows=5)
"""Far fewer rows may be listed than the tables below have."""


def fill_encoded(bench: Bench, source: str, target: str, count: int = 300) -> None:
    """`source` and `target` are the expressions of number and doc, `n` being the row's number."""
    numbers = f"WITH RECURSIVE n AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM n WHERE n < {count - 1})"
    bench.mysql(f"INSERT INTO {bench.mysql_table} {numbers} SELECT n, {source}, '2024-01-02' FROM n")
    bench.clickhouse(
        f"INSERT INTO {storage_table(bench.table)} (id, number, doc, day, _shard, _version) "
        f"SELECT number AS n, {target}, toDate32('2024-01-02'), '{bench.shard}', 2 FROM numbers({count})"
    )


def test_doubles_that_are_encoded_differently_have_equal_checksums(encoded: Bench) -> None:
    fill_encoded(encoded, "(n - 150) * 1e20, NULL", "(toFloat64(n) - 150) * 1e20, NULL")
    pair = ComparisonPair(encoded.source, encoded.target, Scope(encoded.table, encoded.shard))
    _, mismatches = scan(pair, FEW, lambda rows: None)
    assert mismatches == []
    assert encoded.verify(FEW).answer == "equal"


def test_json_that_is_encoded_differently_in_more_rows_than_can_be_listed_is_equal(encoded: Bench) -> None:
    fill_encoded(encoded, "0, JSON_OBJECT('n', 1.5e300)", "0, '{\"n\": 1.5E300}'", count=100)
    result = encoded.verify(FEW)
    assert (result.answer, result.reason, result.unresolved_ranges) == ("equal", "", ())


def test_a_key_with_two_stored_rows_is_different_and_both_counts_are_reported(encoded: Bench) -> None:
    fill_encoded(encoded, "0, NULL", "0, NULL")
    encoded.land({"id": "7", "number": "0", "day": "toDate32('2024-01-01')"}, version=4)
    result = encoded.verify()
    assert (result.answer, result.rows_source, result.rows_clickhouse) == ("different", 300, 301)
    assert [(row.kind, dict(row.key)["id"], row.version, row.unmatched) for row in result.differences] == [
        ("extra in ClickHouse", "7", 4, True)
    ]


def test_a_column_that_the_contract_lacks_is_named(large: Bench) -> None:
    large.mysql(f"ALTER TABLE {large.mysql_table} ADD COLUMN extra INT")
    result = large.verify(SMALL)
    assert (result.answer, result.uncompared_columns) == ("equal", ("extra",))


def test_a_deleted_row_and_a_dropped_table(large: Bench) -> None:
    large.land({"id": "-5000000000"}, version=4, deleted=1)
    result = large.verify(SMALL)
    assert [row.kind for row in result.differences] == ["missing in ClickHouse"]
    large.mysql(f"DROP TABLE {large.mysql_table}")
    result = large.verify(SMALL)
    assert (result.answer, result.dropped, result.rows_clickhouse) == ("different", True, 9999)


def test_a_table_that_exists_on_neither_side_is_not_equal(large: Bench) -> None:
    large.mysql(f"DROP TABLE {large.mysql_table}")
    large.clickhouse(f"TRUNCATE TABLE {storage_table(large.table)}")
    assert large.verify().answer == "inconclusive"
