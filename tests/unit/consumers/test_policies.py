"""A column that no contract describes, and too many records that cannot land."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from consumers.batch import Batch
from consumers.batch_writer import BatchWriter, DeadLetterRateLimiter
from consumers.evolution import DiscardedError, evolve
from core.errors import PoisonError, StoppedError
from core.settings import LandingSettings
from schemas.render.avro import Field
from schemas.table import Table
from tests.clock import ManualClock
from tests.unit.consumers.fakes import table

BROUGHT = (Field("id", "int", "", nullable=False),)
NEW = (Field("extra", "int", "", nullable=True),)
Policy = Literal["evolve", "freeze", "discard_value", "discard_row"]


def met(policy: Policy) -> Table:
    return evolve(replace(table("a"), unknown_column=policy), 7, (*BROUGHT, *NEW), NEW, {"extra": "extra!"})


def test_evolve_adds_it_nullable() -> None:
    assert [(column.name, column.nullable) for column in met("evolve").columns] == [
        ("id", False),
        ("extra!", True),
    ]


def test_discard_value_lands_the_rest() -> None:
    assert met("discard_value").names == ("id",)


def test_freeze_stops_the_table() -> None:
    with pytest.raises(StoppedError, match="schema id 7 brings column 'extra!'"):
        met("freeze")


def test_discard_row_makes_the_row_a_dead_letter() -> None:
    with pytest.raises(DiscardedError, match="'extra!' is unknown"):
        met("discard_row")


@pytest.mark.parametrize("policy", ["evolve", "freeze", "discard_value", "discard_row"])
def test_nothing_unknown_changes_nothing(policy: Policy) -> None:
    known = replace(table("a"), unknown_column=policy)
    assert evolve(known, 7, BROUGHT, (), {}) is known


class Letters:
    def __init__(self) -> None:
        self.dead_letters: list[Any] = []

    def put(self, topic: str, generation: int, records: list[Any], reason: str) -> None:
        self.dead_letters += records


class Book:
    def __init__(self, error: PoisonError) -> None:
        self._error = error

    def insert_plan(self, *_: object) -> Any:
        raise self._error


def discarded(error: PoisonError, records: int, limit: int = 10) -> list[Any]:
    letters: Any = Letters()
    schemas: Any = Book(error)
    nothing: Any = None
    batch = Batch("cdc.a", b"\0\0\0\0\7")
    batch.extend(0, range(records), [b"\0\0\0\0\7row"] * records)
    limiter = DeadLetterRateLimiter(LandingSettings(max_dead_letters=limit))
    lander = BatchWriter(nothing, letters, schemas, limiter, nothing)
    lander.land(table("a"), 1, batch)
    return list(letters.dead_letters)


def test_rows_that_a_policy_discards_stop_no_table() -> None:
    assert len(discarded(DiscardedError("by policy"), 1000)) == 1000


def test_so_many_that_cannot_land_become_dead_letters_and_one_more_stops_the_table() -> None:
    assert len(discarded(PoisonError("unknown id"), 10)) == 10
    with pytest.raises(
        StoppedError,
        match=r"table 'a': more than 10 records in 60 s could not be landed; the last: unknown id",
    ):
        discarded(PoisonError("unknown id"), 11)


def test_the_limit_is_of_a_table_and_of_a_while() -> None:
    clock = ManualClock()
    gauge = DeadLetterRateLimiter(LandingSettings(max_dead_letters=10), clock)
    gauge.count("a", 10, "")
    gauge.count("b", 10, "")
    clock.now += 61
    gauge.count("a", 10, "")
    with pytest.raises(StoppedError):
        gauge.count("a", 1, "")
    gauge.forget("a")
    gauge.count("a", 10, "")
