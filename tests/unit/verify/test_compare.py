from __future__ import annotations

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Column, Latest, Shards, Table, immutable, optional, required
from verify.compare import equal_values, key_differences, shown
from verify.results import StoredRow

JSON = optional(1, "doc", t.Json(), p.PUBLIC)
FLOAT = optional(1, "f", t.Float(32), p.PUBLIC)
DOUBLE = optional(1, "f", t.Float(64), p.PUBLIC)

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(documents)
def test_spacing_order_and_escapes_of_json_do_not_matter(document: object) -> None:
    tight = json.dumps(document, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    loose = json.dumps(document, indent=2)
    assert equal_values(JSON, tight.encode("utf-8", "surrogatepass"), loose.encode())


@given(documents, documents)
def test_documents_of_other_values_differ(left: object, right: object) -> None:
    same = equal_values(JSON, json.dumps(left).encode(), json.dumps(right).encode())
    assert same or left != right or json.dumps(left) != json.dumps(right)
    if same:
        assert left == right


def test_true_is_not_one() -> None:
    assert not equal_values(JSON, b"[true]", b"[1]")
    assert not equal_values(JSON, b"[false]", b"[0]")
    assert equal_values(JSON, b"[1.0, 1e2]", b"[1,100]")


def test_text_that_is_not_json_is_compared_by_its_bytes() -> None:
    assert equal_values(JSON, b"{", b"{")
    assert not equal_values(JSON, b"{", b"{}")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_compared_as_a_number(value: float) -> None:
    assert equal_values(DOUBLE, repr(value).encode(), f"{value:.17e}".encode())
    assert not equal_values(DOUBLE, repr(value).encode(), repr(math.nextafter(value, math.inf)).encode())


def test_null_equals_only_null() -> None:
    assert equal_values(JSON, None, None)
    assert not equal_values(JSON, None, b"null")
    assert not equal_values(DOUBLE, b"0", None)


TABLE = Table(
    "t",
    Shards("*"),
    ("id",),
    Latest(),
    (
        required(1, "id", t.Int(64), p.PUBLIC),
        optional(2, "name", t.Text(), p.REDACT),
        optional(3, "day", t.Date(), p.PUBLIC),
    ),
)


def test_a_difference_names_its_columns_and_hides_what_is_not_public() -> None:
    (found,) = key_differences(TABLE, [(b"7", b"Ann", b"0")], [StoredRow((b"7", b"Bob B", b"1"), 4)])
    assert (found.kind, found.key, found.version, found.unmatched) == ("differs", (("id", "7"),), 4, False)
    assert [(item.name, item.source, item.clickhouse) for item in found.columns] == [
        ("name", "<3 chars>", "<5 chars>"),
        ("day", "1970-01-01", "1970-01-02"),
    ]


def test_a_row_of_one_side_only() -> None:
    row = (b"7", None, None)
    (missing,), (extra,) = key_differences(TABLE, [row], []), key_differences(TABLE, [], [StoredRow(row, 4)])
    assert (missing.kind, missing.clickhouse, missing.unmatched) == ("missing in ClickHouse", None, False)
    assert (extra.kind, extra.source, extra.version, extra.unmatched) == (
        "extra in ClickHouse",
        None,
        4,
        True,
    )
    assert key_differences(TABLE, [row], [StoredRow(row, 4)]) == []


BY_DAY = replace(
    TABLE,
    columns=(*TABLE.columns[:2], immutable(3, "day", t.Date(), p.PUBLIC)),
    clickhouse=ClickHouse(order_by=("day", "id")),
)


def test_of_two_stored_rows_of_a_key_the_one_that_the_source_lacks_is_extra() -> None:
    row = (b"7", b"Ann", b"1")
    (found,) = key_differences(BY_DAY, [row], [StoredRow((b"7", b"Ann", b"0"), 4), StoredRow(row, 6)])
    assert (found.kind, found.version, found.unmatched) == ("extra in ClickHouse", 4, True)
    assert [(item.name, item.source, item.clickhouse) for item in found.columns] == [
        ("day", "1970-01-02", "1970-01-01")
    ]


def test_a_single_row_under_a_wrong_storage_key_differs_and_is_unmatched() -> None:
    (found,) = key_differences(BY_DAY, [(b"7", b"Ann", b"1")], [StoredRow((b"7", b"Ann", b"0"), 4)])
    assert (found.kind, found.version, found.unmatched) == ("differs", 4, True)


def test_a_stale_row_with_the_right_storage_key_is_paired_with_the_source_s_before_an_unmatched_one() -> None:
    unmatched, stale = StoredRow((b"7", b"Ann", b"0"), 4), StoredRow((b"7", b"Al", b"1"), 6)
    differs, extra = key_differences(BY_DAY, [(b"7", b"Ann", b"1")], [unmatched, stale])
    assert (differs.kind, differs.version, differs.unmatched) == ("differs", 6, False)
    assert (extra.kind, extra.version, extra.unmatched) == ("extra in ClickHouse", 4, True)


def test_values_are_shown_as_people_read_them() -> None:
    def column(kind: t.Type) -> Column:
        return optional(1, "c", kind, p.PUBLIC)

    assert shown(column(t.DateTime(6)), b"1500000") == "1970-01-01 00:00:01.500000"
    assert shown(column(t.Date()), b"0000-00-00") == "0000-00-00"
    assert shown(column(t.Date()), b"99999999") == "99999999"
    assert shown(column(t.Binary()), b"\x00\xff") == "0x00ff"
    assert shown(column(t.Text()), b"x" * 300) == "x" * 200 + "… (300 chars)"
