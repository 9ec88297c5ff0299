"""The lander's loop on stand-ins: what stands still, what goes on, and that nothing is committed that has not
landed."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from consumers.clickhouse_writer import UnfitTableError
from consumers.decisions import Decision
from consumers.schema_cache import RegistryStateLostError
from core import metrics
from core.errors import StoppedError, TransientError
from core.settings import Endpoints
from schemas.catalog import Catalog
from tests.nowhere import ENDPOINTS
from tests.unit.consumers.fakes import AWAY, Bench, make_bench, table

A, B = ("cdc.a", 0), ("cdc.b", 0)


@pytest.fixture
def endpoints() -> Endpoints:
    return ENDPOINTS


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints) -> Bench:
    created = make_bench(monkeypatch, endpoints, ("a", "b"))
    created.consumer.join(A, B)
    return created


def turns(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.turn()


def still(bench: Bench, name: str) -> tuple[float, float]:
    """(waits, stopped) as the metrics tell."""
    return metrics.WAITING_TABLES.labels(name)._value.get(), metrics.STOPPED_TABLES.labels(name)._value.get()


@pytest.mark.parametrize("refused", [AWAY, A])
def test_a_commit_that_failed_is_repeated_although_nothing_new_comes(bench: Bench, refused: Any) -> None:
    bench.consumer.put(*A, *fine(2))
    bench.consumer.refuses = [refused]
    bench.turn()
    assert A not in bench.consumer.group
    bench.turn()
    assert bench.consumer.group[A] == 2


def test_a_table_whose_server_is_away_waits_and_the_other_goes_on(bench: Bench) -> None:
    bench.worker.meets = {"a": [TransientError("away"), AWAY, TransientError("away")]}
    bench.consumer.put(*A, b"", b"\0", b"x")
    bench.consumer.put(*B, *fine(2))
    bench.consumer.put(*A, *fine(1))
    bench.turn()
    assert bench.worker.landed[B] == [0, 1]
    assert bench.consumer.group == {B: 2}
    assert still(bench, "a") == (1, 0)
    turns(bench, 4)
    assert bench.consumer.group == {A: 4, B: 2}
    assert set(bench.worker.landed[A]) == {0, 1, 2, 3}
    assert still(bench, "a") == (0, 0)


def test_a_request_that_is_broken_off_as_the_lander_ends_is_not_logged_as_a_wait(bench: Bench) -> None:
    bench.lander._stopping = lambda: True
    bench.worker.meets = {"a": [TransientError("this process is about to end")]}
    bench.consumer.put(*A, *fine(1))
    with capture_logs() as logs:
        bench.turn()
    assert logs == []
    assert bench.consumer.group == {}


def fine(count: int) -> list[bytes]:
    return [b"\0\0\0\0\7row"] * count


@pytest.mark.parametrize("error", [UnfitTableError("no such column"), RegistryStateLostError("no such id")])
def test_a_table_that_does_not_fit_or_is_forgotten_stops_and_goes_on_once_its_contract_is_applied(
    monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints, error: Exception
) -> None:
    bench = make_bench(monkeypatch, endpoints, ("a", "b"), retry_seconds=0)
    bench.consumer.join(A, B)
    bench.worker.meets = {"a": [error, error]}
    for partition in (A, B):
        bench.consumer.put(*partition, *fine(1))
    turns(bench, 5)
    assert still(bench, "a") == (0, 1)
    assert bench.consumer.group == {B: 1}
    bench.decided["cdc.a"] = Decision("another contract", 1, 0)
    bench.lander._check_decisions()
    assert bench.book.forgotten[-1] == {"cdc.a"}
    bench.turn()
    bench.turn()
    assert bench.consumer.group == {A: 1, B: 1}
    assert still(bench, "a") == (0, 0)


def test_a_table_that_has_stopped_is_not_landed_by_whoever_gets_more_of_it(bench: Bench) -> None:
    bench.worker.meets = {"a": [StoppedError("mend it")]}
    bench.consumer.put(*A, *fine(1))
    bench.turn()
    bench.consumer.put("cdc.a", 1, *fine(1))
    bench.consumer.join(("cdc.a", 1))
    bench.turn()
    assert bench.worker.landed == {}
    assert bench.consumer.group == {}


def test_the_last_table_that_stops_ends_the_lander(bench: Bench) -> None:
    bench.worker.meets = {"a": [StoppedError("mend it")], "b": [StoppedError("mend it too")]}
    for partition in (A, B):
        bench.consumer.put(*partition, *fine(1))
    with pytest.raises(StoppedError):
        turns(bench, 3)


def test_where_to_start_is_unknown_at_first(monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints) -> None:
    bench = make_bench(monkeypatch, endpoints, ("a", "b"))
    bench.lander._start_offsets.fails = [AWAY, TransientError("away")]  # type: ignore[attr-defined]
    bench.consumer.put(*A, *fine(3))
    bench.consumer.group[A] = 1
    bench.consumer.join(A)
    turns(bench, 4)
    assert bench.worker.landed == {A: [1, 2]}


def test_a_changed_contract_is_landed_by_from_then_on(bench: Bench) -> None:
    bench.catalog[0] = Catalog((table("a"), table("b"), table("c")))
    bench.lander._check_decisions()
    assert bench.book.forgotten == [{"cdc.c"}]
    assert set(bench.lander._tables) == {"cdc.a", "cdc.b", "cdc.c"}


def test_much_in_hand_pauses_every_table_until_it_has_landed(
    monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints
) -> None:
    bench = make_bench(monkeypatch, endpoints, ("a", "b"), memory_bytes=20)
    bench.consumer.join(A, B)
    bench.consumer.put(*A, *fine(3))
    bench.lander._take(bench.consumer.consume(10, 0))
    bench.lander._balance()
    assert bench.consumer.paused == {A, B}
    bench.consumer.put(*B, *fine(1))
    bench.turn()
    assert bench.consumer.paused == set()
    bench.turn()
    assert bench.worker.landed == {A: [0, 1, 2], B: [0]}


def test_a_table_of_which_much_waits_pauses_alone(
    monkeypatch: pytest.MonkeyPatch, endpoints: Endpoints
) -> None:
    bench = make_bench(monkeypatch, endpoints, ("a", "b"), batch_rows=1)
    bench.consumer.join(A, B)
    bench.consumer.put(*A, *fine(3))
    bench.lander._take(bench.consumer.consume(10, 0))
    bench.lander._balance()
    assert bench.consumer.paused == {A}
    bench.turn()
    assert bench.consumer.paused == set()


def test_what_is_in_hand_lands_and_is_committed_before_a_partition_goes_and_at_the_end(bench: Bench) -> None:
    for partition in (A, B):
        bench.consumer.put(*partition, *fine(2))
    bench.lander._take(bench.consumer.consume(10, 0))
    bench.consumer.leave(A)
    assert bench.consumer.group == {A: 2, B: 2}
    bench.consumer.put(*B, *fine(1))
    polls = iter([False, True])
    bench.lander._stopping = lambda: next(polls)
    bench.lander.run()
    assert bench.consumer.group == {A: 2, B: 3}
    assert bench.worker.landed == {A: [0, 1], B: [0, 1, 2]}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from([A, B, ("cdc.a", 1)])),
        st.tuples(st.just("fail"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("refuse"), st.sampled_from([A, B])),
        st.tuples(st.just("leave"), st.sampled_from([A, B, ("cdc.a", 1)])),
        st.tuples(st.just("turn"), st.none()),
        st.tuples(st.just("fetch"), st.none()),
    ),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_happens_all_that_is_committed_has_landed_and_all_lands_in_the_end(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, Any]]
) -> None:
    bench = make_bench(monkeypatch, ENDPOINTS, ("a", "b"), memory_bytes=40, batch_rows=2)
    partitions = [A, B, ("cdc.a", 1)]
    bench.consumer.join(*partitions)
    for step, what in steps:
        match step:
            case "put":
                bench.consumer.put(*what, *fine(2))
            case "fail":
                bench.worker.meets.setdefault(what, []).append(TransientError("away"))
            case "refuse":
                bench.consumer.refuses.append(what)
            case "leave":
                bench.consumer.leave(what)
                bench.consumer.join(what)
            case "fetch":
                bench.lander._take(bench.consumer.consume(1, 0))
            case _:
                bench.turn()
        for partition, offset in bench.consumer.group.items():
            assert set(range(offset)) <= set(bench.worker.landed.get(partition, []))
    turns(bench, 40)
    assert bench.consumer.group == {partition: len(log) for partition, log in bench.consumer.logs.items()}
    assert {partition.topic for partition in bench.consumer.assignment()} == {
        TopicPartition(*partition).topic for partition in partitions
    }
    bench.lander._pool.close()
