"""Which notification tells of which load, where the id in it does not."""

from __future__ import annotations

from connectors.loads import COMPLETED, FAILED, REQUESTED, STOPPED, Load, settle
from connectors.snapshots import SnapshotEvent


def scanned(collection: str, offset: int, status: str = "SUCCEEDED") -> SnapshotEvent:
    return SnapshotEvent("any", "TABLE_SCAN_COMPLETED", collection, 3, status, (collection,), offset=offset)


def statuses(loads: list[Load]) -> list[str]:
    return [load.status for load in loads]


def test_a_scan_ends_the_load_of_its_own_collection() -> None:
    loads = [Load(1, "acc_1.a", 0), Load(2, "acc_1.b", 0)]
    assert statuses(settle(loads, [scanned("acc_1.b", 5)])) == [REQUESTED, COMPLETED]


def test_an_empty_table_is_read_and_a_table_that_could_not_be_is_not() -> None:
    loads = [Load(1, "acc_1.a", 0), Load(2, "acc_1.b", 0), Load(3, "acc_1.c", 0)]
    events = [scanned("acc_1.a", 1, "EMPTY"), scanned("acc_1.b", 2, "UNKNOWN_SCHEMA"), scanned("acc_1.c", 3, "SQL_EXCEPTION")]
    assert statuses(settle(loads, events)) == [COMPLETED, FAILED, FAILED]


def test_a_scan_from_before_the_request_tells_nothing() -> None:
    assert statuses(settle([Load(1, "acc_1.a", after=6)], [scanned("acc_1.a", 5)])) == [REQUESTED]


def test_one_scan_ends_one_load_the_oldest_however_often_it_is_looked_at() -> None:
    loads = [Load(1, "acc_1.a", 0), Load(2, "acc_1.a", 0)]
    once = settle(loads, [scanned("acc_1.a", 5)])
    assert statuses(once) == [COMPLETED, REQUESTED]
    again = settle([load for load in once if load.status == REQUESTED], [scanned("acc_1.a", 5)])
    assert statuses(again) == [REQUESTED]
    assert statuses(settle(again, [scanned("acc_1.a", 9)])) == [COMPLETED]


def test_a_stopped_load_says_so() -> None:
    aborted = SnapshotEvent("any", "ABORTED", "", None, collections=("acc_1.a",), offset=4)
    assert statuses(settle([Load(1, "acc_1.a", 0), Load(2, "acc_1.b", 0)], [aborted])) == [STOPPED, REQUESTED]


def test_a_load_in_the_queue_has_left_a_trace() -> None:
    started = SnapshotEvent("any", "STARTED", "", None, collections=("acc_1.a", "acc_1.b"), offset=4)
    loads = settle([Load(1, "acc_1.a", 0), Load(2, "acc_1.c", 0)], [started])
    assert [load.told is not None for load in loads] == [True, False]


def test_a_pause_is_shown_though_the_chunk_in_hand_is_told_after_it() -> None:
    def event(kind: str, offset: int, key: str = "") -> SnapshotEvent:
        return SnapshotEvent("any", kind, "acc_1.a" if key else "", None, "", ("acc_1.a",), key, "9" if key else "", offset)

    def told(*events: SnapshotEvent) -> tuple[bool, str]:
        (load,) = settle([Load(1, "acc_1.a", 0)], events)
        assert load.told is not None
        return load.told["paused"], load.told["last_key"]

    chunk, paused, in_hand, next_chunk = (
        event("IN_PROGRESS", 1, "3"),
        event("PAUSED", 2),
        event("IN_PROGRESS", 3, "5"),
        event("IN_PROGRESS", 4, "7"),
    )
    assert told(chunk) == (False, "3")
    assert told(chunk, paused) == (True, "3")
    assert told(chunk, paused, in_hand) == (True, "5")
    assert told(chunk, paused, in_hand, next_chunk) == (False, "7")
    assert told(chunk, paused, event("RESUMED", 3)) == (False, "3")
