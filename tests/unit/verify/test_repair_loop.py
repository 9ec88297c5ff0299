"""When a repair ends, by what its rounds have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.snapshot_tracker import COMPLETED, FAILED
from core.clock import utc_now
from tests.nowhere import ENDPOINTS
from tests.unit.verify.test_compare import BY_DAY
from verify import repair_loop
from verify.compare import key_differences
from verify.repair import RepairRequest
from verify.results import StoredRow, TableResult

SHARD = "acc_1"
SOURCE = (b"1", b"Ann", b"1")


def different(name: bytes) -> TableResult:
    differences = tuple(key_differences(BY_DAY, [SOURCE], [StoredRow((b"1", name, b"1"), 4)]))
    return TableResult(BY_DAY.name, SHARD, "different", 1, 1, 1, differences)


class Rounds:
    """Stands for the engine and the tracker: each round's snapshot ends as `statuses` say, and what is
    verified after it is in `results`; the last of both stay."""

    def __init__(self, statuses: list[str], results: list[TableResult]) -> None:
        self._statuses, self._results = statuses, results
        self._history: list[SimpleNamespace] = []
        reader = SimpleNamespace(server=SimpleNamespace(name="main"), databases_with=lambda _: [SHARD])
        self.sources = [reader]
        self.reported: list[str] = []

    def repair(self, *_: object) -> RepairRequest:
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        self._history.append(
            SimpleNamespace(collection=f"{SHARD}.{BY_DAY.name}", status=status, requested_at=utc_now())
        )
        return RepairRequest(resent=1)

    def history(self, _: str) -> list[SimpleNamespace]:
        return self._history

    def verify_shard(self, *_: object) -> TableResult:
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]

    @property
    def count(self) -> int:
        return len(self._history)

    def run(self, monkeypatch: pytest.MonkeyPatch, wait: float = 60) -> TableResult:
        @contextmanager
        def opened(*_: object, **__: object) -> Iterator[Any]:
            yield self

        monkeypatch.setattr(repair_loop, "PAUSE_SECONDS", 0.001)
        monkeypatch.setattr(repair_loop, "opened", opened)
        monkeypatch.setattr(repair_loop, "repair", self.repair)
        tracker: Any = self
        first = different(b"Bob")
        return repair_loop.repair_until_equal(
            ENDPOINTS, tracker, "group", BY_DAY, first, wait, self.reported.append
        )


def test_two_rounds_that_change_nothing_are_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds([COMPLETED], [different(b"Bob")])
    assert rounds.run(monkeypatch).reason.startswith("reading them again changes nothing")
    assert rounds.count == 2


def test_rounds_that_change_something_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds([COMPLETED], [different(b"Bob"), different(b"Eve"), different(b"Bob"), different(b"Bob")])
    rounds.run(monkeypatch)
    assert rounds.count == 5, "unchanged, changed, changed, and two more that are unchanged"


def test_a_snapshot_that_failed_says_nothing_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds([COMPLETED, FAILED, COMPLETED], [different(b"Bob")])
    rounds.run(monkeypatch)
    assert rounds.count == 4, "one, the failed one, and two more"
    assert f"{SHARD}.{BY_DAY.name}: the snapshot of these rows has failed" in rounds.reported


def test_snapshots_that_always_fail_end_with_the_wait_and_without_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = Rounds([FAILED], [different(b"Bob")])
    assert rounds.run(monkeypatch, wait=0.05).reason == ""
    assert rounds.count > 2
