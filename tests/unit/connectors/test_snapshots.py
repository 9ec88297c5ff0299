"""How a collection is named in a signal to Debezium, and what is read of its notifications."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.notifications import decode_notification
from connectors.snapshots import escape_collection
from core.wire.confluent import frame
from core.wire.record import RecordDecoder


@pytest.mark.parametrize("name", ["acc_1.calls", "tele-shop.order-lines", "acc_1.a+b(c)", "a$b.ünï"])
def test_a_name_is_a_pattern_that_matches_it_alone(name: str) -> None:
    assert re.fullmatch(escape_collection(name), name)


@given(st.text("ab .`'\"", min_size=1))
def test_a_name_that_debezium_would_split_is_quoted_in_backticks_that_no_name_matches(table: str) -> None:
    name = f"acc_1.{table}"
    if re.fullmatch(r"[ab]+", table):
        assert escape_collection(name) == name
    else:
        assert escape_collection(name) == f"acc_1.`{table.replace('`', '``')}`"
        assert not re.fullmatch(escape_collection(name), name)


def schema(identity: int) -> str | None:
    text = '{"type": "record", "name": "notification", "fields": [{"name": "id", "type": "string"}]}'
    return text if identity == 1 else None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param(frame(1, b"\x02a"), {"id": "a"}, id="a notification"),
        pytest.param(b"{}", {}, id="not framed"),
        pytest.param(frame(9, b"\x02a"), {}, id="an unknown schema"),
        pytest.param(frame(1, b"\x08a"), {}, id="cut off"),
        pytest.param(frame(1, b"\x01"), {}, id="a length below zero"),
        pytest.param(frame(1, b"\x02\xff"), {}, id="not UTF-8"),
        pytest.param(frame(1, b""), {}, id="empty"),
    ],
)
def test_a_notification_that_cannot_be_decoded_is_skipped(value: bytes, read: dict[str, str]) -> None:
    assert decode_notification(RecordDecoder(schema), value) == read
