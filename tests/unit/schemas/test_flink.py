"""Flink's source: the change topic as a log, every record of which can be read."""

from __future__ import annotations

import pytest

from core.errors import ContractError
from core.settings import KafkaEndpoint, RegistryEndpoint
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import load
from schemas.render.flink import arriving_type, create_source, log_table
from schemas.table import Column, Latest, Shards, Table, immutable, optional
from tests.golden import reviewed

KAFKA = KafkaEndpoint(bootstrap="kafka:9092")
REGISTRY = RegistryEndpoint(url="http://registry")


def table(*columns: Column, name: str = "calls") -> Table:
    chosen = (immutable(1, "id", t.Int(), p.PUBLIC), *columns)
    return Table(name=name, source=Shards("acc_*"), key=("id",), history=Latest(), columns=chosen)


def test_what_is_rendered_is_what_was_reviewed() -> None:
    text = create_source(load("schemas.contracts")["interactions"], KAFKA, REGISTRY) + ";\n"
    assert text == reviewed("interactions.flink.sql", text)


@pytest.mark.parametrize(
    ("kind", "arrives"),
    [
        (t.UInt(24), "INT"),
        (t.UInt(32), "BIGINT"),
        (t.UInt(64), "BIGINT"),
        (t.Decimal(38, 4), "DECIMAL(38, 4)"),
        (t.Decimal(65, 30), "BYTES"),
        (t.DateTime(3), "TIMESTAMP(3)"),
        (t.DateTime(4), "BIGINT"),
        (t.Timestamp(6), "STRING"),
        (t.Time(6), "BIGINT"),
        (t.Bit(1), "BOOLEAN"),
        (t.Bit(2), "BYTES"),
    ],
)
def test_a_column_has_the_type_in_which_debezium_sends_it(kind: t.Type, arrives: str) -> None:
    assert arriving_type(kind) == arrives


def test_a_column_is_named_as_in_the_record() -> None:
    ddl = create_source(table(optional(2, "2nd `a` b", t.Text(), p.PUBLIC)), KAFKA, REGISTRY)
    assert "`_2nd__a__b` STRING" in ddl


def test_columns_that_would_share_a_field_are_refused() -> None:
    both = (optional(2, "a b", t.Text(), p.PUBLIC), optional(3, "a-b", t.Text(), p.PUBLIC))
    with pytest.raises(ContractError, match="share the record's field a_b"):
        create_source(table(*both), KAFKA, REGISTRY)


def test_no_name_leaves_its_quotes() -> None:
    odd = table(name="it's `x`")
    assert log_table(odd) == "`it's ``x``_log`"
    assert "'it''s'" in create_source(odd, KAFKA, REGISTRY, {"properties.client.id": "it's"})


def test_an_option_replaces_the_usual_one() -> None:
    ddl = create_source(
        table(), KAFKA, REGISTRY, {"scan.startup.mode": "latest-offset", "scan.bounded.mode": "latest-offset"}
    )
    assert "'scan.startup.mode' = 'latest-offset'" in ddl
    assert "'scan.bounded.mode' = 'latest-offset'" in ddl
    assert "earliest" not in ddl
