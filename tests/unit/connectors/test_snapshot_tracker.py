"""Which notification tells of which load, where the id in it does not."""

from __future__ import annotations

from connectors.snapshot_tracker import (
    COMPLETED,
    FAILED,
    REQUESTED,
    STOPPED,
    SnapshotRequest,
    apply_notifications,
)
from connectors.snapshots import SnapshotEvent


def scanned(collection: str, offset: int, status: str = "SUCCEEDED") -> SnapshotEvent:
    return SnapshotEvent("any", "TABLE_SCAN_COMPLETED", collection, 3, status, (collection,), offset=offset)


def statuses(requests: list[SnapshotRequest]) -> list[str]:
    return [request.status for request in requests]


def test_a_scan_ends_the_load_of_its_own_collection() -> None:
    requests = [SnapshotRequest(1, "acc_1.a", 0), SnapshotRequest(2, "acc_1.b", 0)]
    assert statuses(apply_notifications(requests, [scanned("acc_1.b", 5)])) == [REQUESTED, COMPLETED]


def test_an_empty_table_is_read_and_a_table_that_could_not_be_is_not() -> None:
    requests = [
        SnapshotRequest(1, "acc_1.a", 0),
        SnapshotRequest(2, "acc_1.b", 0),
        SnapshotRequest(3, "acc_1.c", 0),
    ]
    events = [
        scanned("acc_1.a", 1, "EMPTY"),
        scanned("acc_1.b", 2, "UNKNOWN_SCHEMA"),
        scanned("acc_1.c", 3, "SQL_EXCEPTION"),
    ]
    assert statuses(apply_notifications(requests, events)) == [COMPLETED, FAILED, FAILED]


def test_a_scan_from_before_the_request_is_ignored() -> None:
    assert statuses(
        apply_notifications([SnapshotRequest(1, "acc_1.a", after=6)], [scanned("acc_1.a", 5)])
    ) == [REQUESTED]


def test_one_scan_ends_one_request_the_oldest_however_often_it_is_read() -> None:
    requests = [SnapshotRequest(1, "acc_1.a", 0), SnapshotRequest(2, "acc_1.a", 0)]
    once = apply_notifications(requests, [scanned("acc_1.a", 5)])
    assert statuses(once) == [COMPLETED, REQUESTED]
    again = apply_notifications(
        [request for request in once if request.status == REQUESTED], [scanned("acc_1.a", 5)]
    )
    assert statuses(again) == [REQUESTED]
    assert statuses(apply_notifications(again, [scanned("acc_1.a", 9)])) == [COMPLETED]


def test_a_stopped_request_has_that_status() -> None:
    aborted = SnapshotEvent("any", "ABORTED", "", None, collections=("acc_1.a",), offset=4)
    assert statuses(
        apply_notifications([SnapshotRequest(1, "acc_1.a", 0), SnapshotRequest(2, "acc_1.b", 0)], [aborted])
    ) == [
        STOPPED,
        REQUESTED,
    ]


def test_a_load_in_the_queue_has_left_a_trace() -> None:
    started = SnapshotEvent("any", "STARTED", "", None, collections=("acc_1.a", "acc_1.b"), offset=4)
    requests = apply_notifications(
        [SnapshotRequest(1, "acc_1.a", 0), SnapshotRequest(2, "acc_1.c", 0)], [started]
    )
    assert [request.last_notification is not None for request in requests] == [True, False]


def test_a_pause_is_shown_although_the_current_chunk_is_notified_after_it() -> None:
    def event(kind: str, offset: int, key: str = "") -> SnapshotEvent:
        return SnapshotEvent(
            "any", kind, "acc_1.a" if key else "", None, "", ("acc_1.a",), key, "9" if key else "", offset
        )

    def shown(*events: SnapshotEvent) -> tuple[bool, str]:
        (request,) = apply_notifications([SnapshotRequest(1, "acc_1.a", 0)], events)
        assert request.last_notification is not None
        return request.last_notification.paused, request.last_notification.last_key

    chunk, paused, in_hand, next_chunk = (
        event("IN_PROGRESS", 1, "3"),
        event("PAUSED", 2),
        event("IN_PROGRESS", 3, "5"),
        event("IN_PROGRESS", 4, "7"),
    )
    assert shown(chunk) == (False, "3")
    assert shown(chunk, paused) == (True, "3")
    assert shown(chunk, paused, in_hand) == (True, "5")
    assert shown(chunk, paused, in_hand, next_chunk) == (False, "7")
    assert shown(chunk, paused, event("RESUMED", 3)) == (False, "3")
