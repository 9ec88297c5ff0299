"""Tracks the requested snapshots and their outcome in the control database, from Debezium's notifications."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import ColumnElement, Select, or_, select

from connectors.notifications import notification_end_offset
from connectors.rest import KafkaConnect
from connectors.snapshots import SnapshotEvent, read_snapshot_events, request_snapshot
from core.clock import EPOCH, Clock, system, utc_now
from core.control import ControlDatabase
from core.control.models import Snapshot
from core.control.proofs import latest_proofs
from core.settings import Endpoints
from core.waiting import wait_until
from schemas.render.connect import connector_name

REQUESTED, COMPLETED, FAILED, STOPPED = "REQUESTED", "COMPLETED", "FAILED", "STOPPED"
SUCCESSFUL = ("SUCCEEDED", "EMPTY")
LOST_AFTER = dt.timedelta(seconds=30)
"""A snapshot requested this long ago that is not in the connector's offsets is lost: the task that read its
signal ended before it stored it, or Debezium dropped it for an earlier snapshot of the same collection."""


@dataclass(frozen=True)
class Notification:
    """The last notification about a snapshot, with the keys of the newest one that had any.

    `scan_status` is the outcome of a table's scan; `rows` is known at the end.
    """

    kind: str
    rows: int | None = None
    scan_status: str = ""
    last_key: str = ""
    maximum_key: str = ""
    paused: bool = False


@dataclass(frozen=True)
class SnapshotRequest:
    """A requested snapshot of one collection. Notifications before offset `after` are not about it."""

    id: int
    collection: str
    after: int
    status: str = REQUESTED
    last_notification: Notification | None = None
    ended_ms: int = 0
    """When it ended, since the epoch; 0 if that is not known."""


@dataclass(frozen=True)
class LatestSnapshot:
    """The latest unfiltered snapshot of a collection: its status and when it was requested (UTC)."""

    status: str
    requested_at: dt.datetime


@dataclass(frozen=True)
class SnapshotProgress:
    """A snapshot for display. The keys are those of the last chunk; `rows` is known at the end."""

    collection: str
    status: str
    where: str | None
    requested_at: dt.datetime
    rows: int | None
    last_key: str
    maximum_key: str
    paused: bool


class SnapshotTracker:
    """Requests snapshots and follows them.

    Its methods block for the control database and, where they say so, for Kafka. Only `request` and `record`
    store anything.
    """

    def __init__(self, endpoints: Endpoints, control: ControlDatabase, clock: Clock = system) -> None:
        self._endpoints = endpoints
        self._control = control
        self._now = partial(utc_now, clock)

    def request(self, server: str, collections: Sequence[str], where: str | None = None) -> None:
        """Requests and records snapshots of the collections (``database.table``), of rows that match `where`
        if given.

        Blocks for Kafka.
        """
        after = notification_end_offset(self._endpoints.kafka, server)
        request_snapshot(self._endpoints.kafka, server, collections, where)
        with self._control.session() as session:
            for name in collections:
                session.add(
                    Snapshot(
                        server=server, collection=name, status=REQUESTED, row_filter=where, after_offset=after
                    )
                )

    def latest(self, server: str) -> dict[str, LatestSnapshot]:
        """Collection -> its latest snapshot without a filter. Blocks for Kafka while one is running."""
        unfiltered = [row for row in self._read(server) if row.row_filter is None]
        return {row.collection: LatestSnapshot(row.status, row.requested_at) for row in unfiltered}

    def unproven(self, server: str) -> list[str]:
        """The collections that no verification has found equal since their latest complete snapshots.

        A snapshot is complete when such a verification began after its end, not because Debezium has read
        the table. Blocks for Kafka while a snapshot is running.
        """
        proofs = latest_proofs(self._control)
        complete = [row for row in self._read(server) if row.status == COMPLETED and row.row_filter is None]
        ended = {row.collection: row.ended_at for row in complete}
        found = []
        for collection, end in ended.items():
            shard, _, table = collection.partition(".")
            proof = proofs.get((shard, table))
            if proof is None or (end is not None and proof < end):
                found.append(collection)
        return sorted(found)

    def pending(self, server: str) -> list[str]:
        """The collections whose requested snapshots have not ended yet.

        Blocks for Kafka while there are any.
        """
        rows = self._read(server, Snapshot.status == REQUESTED)
        return [row.collection for row in rows if row.status == REQUESTED]

    def history(self, server: str, hours: float = 24) -> list[SnapshotProgress]:
        """Running snapshots and those requested in the last `hours`, in the order of their requests.

        Blocks for Kafka while there are any running.
        """
        begin = self._now() - dt.timedelta(hours=hours)
        recent = or_(Snapshot.status == REQUESTED, Snapshot.requested_at > begin)
        return [_progress(row) for row in self._read(server, recent)]

    def wait(self, limit: float) -> list[str]:
        """Blocks until all snapshots have ended, for `limit` seconds at most; returns the unfinished
        ``server/database.table``."""
        left: list[str] = []

        def have_ended() -> bool:
            left[:] = [
                f"{server.name}/{name}"
                for server in self._endpoints.mysql
                for name in self.pending(server.name)
            ]
            return not left

        wait_until(have_ended, limit, interval=0.5)
        return left

    def record(self, server: str) -> None:
        """Stores how far the running snapshots are by their notifications. Blocks for Kafka."""
        with self._control.session() as session:
            running = session.scalars(_running(server)).all()
        if not running:
            return
        found = {request.id: request for request in self._follow(server, running)}
        with self._control.session() as session:
            for row in session.scalars(_running(server).where(Snapshot.id.in_(found))):
                _update(row, found[row.id])

    def _read(self, server: str, *conditions: ColumnElement[bool]) -> list[Snapshot]:
        """The snapshots in the order of their requests, with what is notified but not stored yet; stores
        nothing.

        The conditions must not leave out running ones.
        """
        chosen = select(Snapshot).where(Snapshot.server == server, *conditions).order_by(Snapshot.id)
        with self._control.session() as session:
            rows = list(session.scalars(chosen))
        by_id = {row.id: row for row in rows}
        for request in self._follow(server, [row for row in rows if row.status == REQUESTED]):
            _update(by_id[request.id], request)
        return rows

    def _follow(self, server: str, running: Sequence[Snapshot]) -> list[SnapshotRequest]:
        """The requests of these running snapshots after their notifications."""
        if not running:
            return []
        old = [row for row in running if self._now() - row.requested_at > LOST_AFTER]
        not_queued = self._not_queued(server, old)
        requests = [_request(row) for row in running]
        since = min(request.after for request in requests)
        events = list(read_snapshot_events(self._endpoints, server, since))
        return [
            _lost(request) if request.status == REQUESTED and request.id in not_queued else request
            for request in apply_notifications(requests, events)
        ]

    def _not_queued(self, server: str, old: Sequence[Snapshot]) -> set[int]:
        """The ids of those that are not queued in the connector's offsets: lost, or just ended.

        Call it before reading the notifications: Connect stores the offset of an ended snapshot after its
        notification.
        """
        stored = self._queued(server) if old else set()
        return {row.id for row in old if row.collection not in stored}

    def _queued(self, server: str) -> set[str]:
        """The collections that are queued in the connector's offsets."""
        offsets = KafkaConnect(self._endpoints.connect).offsets(connector_name(server))
        queued = [
            json.loads(item["offset"].get("incremental_snapshot_collections") or "[]")
            for item in offsets
            if item["offset"]
        ]
        return {item["incremental_snapshot_collections_id"] for items in queued for item in items}


def apply_notifications(
    requests: Sequence[SnapshotRequest], events: Iterable[SnapshotEvent]
) -> list[SnapshotRequest]:
    """The requests after the events.

    One table scan ends one request, the oldest: Debezium processes its queue in order.
    """
    current = {request.id: request for request in requests}
    for event in events:
        for request in _concerned(current.values(), event):
            current[request.id] = _after_event(request, event)
        for request in current.values():
            if (
                event.kind == "TABLE_SCAN_COMPLETED"
                and request.collection == event.collection
                and request.status == REQUESTED
            ):
                current[request.id] = replace(request, after=max(request.after, event.offset + 1))
    return list(current.values())


def _concerned(requests: Iterable[SnapshotRequest], event: SnapshotEvent) -> list[SnapshotRequest]:
    named = {event.collection} if event.collection else set(event.collections)
    opened = [
        request
        for request in requests
        if request.status == REQUESTED and request.after <= event.offset and request.collection in named
    ]
    return opened[:1] if event.collection else opened


def _after_event(request: SnapshotRequest, event: SnapshotEvent) -> SnapshotRequest:
    request = replace(request, last_notification=_notification_after(request.last_notification, event))
    if event.kind == "TABLE_SCAN_COMPLETED":
        status = COMPLETED if event.status in SUCCESSFUL else FAILED
        return replace(request, status=status, ended_ms=event.time_ms)
    return replace(request, status=STOPPED) if event.kind == "ABORTED" else request


def _notification_after(before: Notification | None, event: SnapshotEvent) -> Notification:
    """The current chunk is notified after the pause.

    A second one shows that the snapshot continues: a restart ends the pause.
    """
    before = before or Notification("")
    return Notification(
        kind=event.kind,
        rows=event.rows,
        scan_status=event.status,
        last_key=event.last_key or before.last_key,
        maximum_key=event.maximum_key or before.maximum_key,
        paused=event.kind == "PAUSED" or (event.kind == "IN_PROGRESS" and before.kind == "PAUSED"),
    )


def _request(row: Snapshot) -> SnapshotRequest:
    notification = None
    if row.last_event is not None:
        notification = Notification(
            row.last_event, row.rows, row.scan_status or "", row.last_key, row.maximum_key, row.paused
        )
    return SnapshotRequest(row.id, row.collection, row.after_offset, last_notification=notification)


def _update(row: Snapshot, request: SnapshotRequest) -> None:
    row.after_offset = request.after
    if (notification := request.last_notification) is not None:
        row.last_event, row.scan_status = notification.kind, notification.scan_status
        row.rows, row.paused = notification.rows, notification.paused
        row.last_key, row.maximum_key = notification.last_key, notification.maximum_key
    if request.status != row.status:
        row.status, row.ended_at = request.status, utc_now()
        if request.ended_ms:
            row.ended_at = EPOCH + dt.timedelta(milliseconds=request.ended_ms)


def _progress(row: Snapshot) -> SnapshotProgress:
    return SnapshotProgress(
        collection=row.collection,
        status=row.status,
        where=row.row_filter,
        requested_at=row.requested_at,
        rows=row.rows,
        last_key=row.last_key,
        maximum_key=row.maximum_key,
        paused=row.paused,
    )


def _lost(request: SnapshotRequest) -> SnapshotRequest:
    return replace(request, status=FAILED, last_notification=Notification("LOST"))


def _running(server: str) -> Select[Snapshot]:
    chosen = select(Snapshot).where(Snapshot.server == server, Snapshot.status == REQUESTED)
    return chosen.order_by(Snapshot.id)
