"""Each server, and the lander, killed in the middle of traffic: verify finds the copies equal afterwards.

A stack of its own: killing a shared broker would ruin the neighbours.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from connectors.target import ConnectTarget
from schemas.catalog import load
from simulator.source import create_source
from simulator.traffic import Traffic
from switchboard import stack as local_stack
from tests.conftest import start
from tests.pipeline import Pipeline, end, eventually, make_pipeline

SHARDS = ("acc_1", "acc_2")
SAMPLE = tuple(table.name for table in load("schemas.contracts"))
SERVERS = ("clickhouse", "registry", "connect", "kafka")


@pytest.fixture(scope="module")
def faulty() -> Iterator[Pipeline]:
    home, endpoints = start("faults")
    create_source(endpoints.mysql[0], SHARDS, "metadata")
    made = make_pipeline(home, endpoints)
    made.apply()
    assert ConnectTarget(endpoints, made.catalog, made.control).wait_snapshots(limit=120) == []
    yield made
    made.control.close()
    made.clickhouse.close()
    local_stack.down(home)


class Running:
    """Traffic in a thread of its own."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.traffic = Traffic(pipeline.endpoints.mysql[0], SHARDS, "metadata", rate=300)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.traffic.run, args=(self._stop,))

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self.traffic

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def made(traffic: Traffic, more: int) -> None:
    """Waits until so many more changes are committed."""
    wanted = sum(traffic.changes().values()) + more
    eventually(lambda: sum(traffic.changes().values()) >= wanted)


def settled(pipeline: Pipeline) -> bool:
    eventually(lambda: all(result.answer != "unsettled" for result in pipeline.verify(*SAMPLE)), within=120)
    return pipeline.equal(*SAMPLE)


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_server_loses_and_doubles_nothing(faulty: Pipeline, server: str) -> None:
    with faulty.lander() as lander:
        with Running(faulty) as traffic:
            made(traffic, 300)
            local_stack.kill(faulty.home, server)
            made(traffic, 300)
        local_stack.start_part(faulty.home, server)
        faulty.heal()
        assert settled(faulty)
        assert lander.poll() is None


def test_a_killed_lander_loses_and_doubles_nothing(faulty: Pipeline) -> None:
    with Running(faulty) as traffic:
        first = faulty.start_lander()
        made(traffic, 300)
        first.kill()
        first.wait()
        made(traffic, 100)
        second = faulty.start_lander()
        third = faulty.start_lander()
        made(traffic, 300)
        second.kill()
        second.wait()
        made(traffic, 100)
    assert settled(faulty)
    assert end(third) == 0
