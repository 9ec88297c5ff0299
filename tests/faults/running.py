"""The sample's traffic, and waiting for it."""

from __future__ import annotations

import threading

from schemas.catalog import load
from simulator.traffic import Traffic
from tests.pipeline import Pipeline, eventually

SHARDS = ("acc_first", "acc_second")
SAMPLE = tuple(table.name for table in load("schemas.contracts").captured)


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
    return pipeline.equal(*SAMPLE)
