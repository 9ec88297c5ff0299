"""Tracks the requested snapshots and their outcome in the control database, from Debezium's notifications."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import or_, select

from connectors.rest import KafkaConnect
from connectors.snapshots import SnapshotEvent, notification_end_offset, read_notifications, request_snapshot
from core.control import ControlDatabase
from core.control.models import Run, utc_now
from core.settings import Endpoints
from schemas.render.connect import connector_name

SNAPSHOT = "snapshot"
REQUESTED, COMPLETED, FAILED, STOPPED = "REQUESTED", "COMPLETED", "FAILED", "STOPPED"
SUCCESSFUL = ("SUCCEEDED", "EMPTY")
LOST_AFTER = dt.timedelta(seconds=30)
"""A snapshot requested this long ago that is not in the connector's offsets is lost: the task that read its
signal ended before it stored it, or Debezium dropped it for an earlier snapshot of the same collection."""


@dataclass(frozen=True)
class SnapshotRequest:
    """A requested snapshot of one collection. Notifications before offset `after` are not about it."""

    id: int
    collection: str
    after: int
    status: str = REQUESTED
    last_notification: dict[str, Any] | None = None
    """The content of the last notification about it."""


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

    Its methods block for the control database and, where they say so, for Kafka.
    """

    def __init__(self, endpoints: Endpoints, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._control = control

    def request(self, server: str, collections: Sequence[str], where: str | None = None) -> None:
        """Requests and records snapshots of the collections (``database.table``), of rows that match `where`
        if given.

        Blocks for Kafka.
        """
        after = notification_end_offset(self._endpoints.kafka, server)
        signal = request_snapshot(self._endpoints.kafka, server, collections, where)
        detail = {"signal": signal, "after": after, "where": where}
        with self._control.session() as session:
            for name in collections:
                session.add(Run(kind=SNAPSHOT, subject=f"{server}/{name}", status=REQUESTED, detail=detail))

    def latest(self, server: str) -> dict[str, LatestSnapshot]:
        """Collection -> its latest snapshot without a filter. Blocks for Kafka while one is running."""
        self.refresh(server)
        with self._control.session() as session:
            runs = session.scalars(_snapshots_of(server).order_by(Run.id)).all()
        return {
            _collection(run): LatestSnapshot(run.status, run.started_at)
            for run in runs
            if run.detail.get("where") is None
        }

    def pending(self, server: str) -> list[str]:
        """The collections whose requested snapshots have not ended yet.

        Blocks for Kafka while there are any.
        """
        self.refresh(server)
        with self._control.session() as session:
            return [
                _collection(run)
                for run in session.scalars(_snapshots_of(server).where(Run.status == REQUESTED))
            ]

    def history(self, server: str, hours: float = 24) -> list[SnapshotProgress]:
        """Running snapshots and those requested in the last `hours`, in the order of their requests.

        Blocks for Kafka.
        """
        self.refresh(server)
        recent = or_(Run.status == REQUESTED, Run.started_at > utc_now() - dt.timedelta(hours=hours))
        with self._control.session() as session:
            return [
                _progress(run)
                for run in session.scalars(_snapshots_of(server).where(recent).order_by(Run.id))
            ]

    def wait(self, limit: float) -> list[str]:
        """Blocks until all snapshots have ended, for `limit` seconds at most; returns the unfinished
        ``server/database.table``."""
        deadline = time.monotonic() + limit
        while True:
            left = [
                f"{server.name}/{name}"
                for server in self._endpoints.mysql
                for name in self.pending(server.name)
            ]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)

    def refresh(self, server: str, limit: float = 30) -> None:
        """Updates the running snapshots from the notifications. Blocks for up to `limit` seconds."""
        with self._control.session() as session:
            runs = session.scalars(
                _snapshots_of(server).where(Run.status == REQUESTED).order_by(Run.id)
            ).all()
        if not runs:
            return
        requests = [
            SnapshotRequest(
                run.id,
                _collection(run),
                int(run.detail.get("after", 0)),
                last_notification=run.detail.get("told"),
            )
            for run in runs
        ]
        not_queued = self._not_queued(
            server, [run for run in runs if utc_now() - run.started_at > LOST_AFTER]
        )
        events = list(
            read_notifications(
                self._endpoints, server, limit, since=min(request.after for request in requests)
            )
        )
        updated = {request.id: request for request in apply_notifications(requests, events)}
        with self._control.session() as session:
            for run in session.scalars(select(Run).where(Run.id.in_(updated))):
                request = updated[run.id]
                if request.status == REQUESTED and run.id in not_queued:
                    request = replace(request, status=FAILED, last_notification={"kind": "LOST"})
                _update(run, request)

    def _not_queued(self, server: str, old: Sequence[Run]) -> set[int]:
        """The runs that are not queued in the connector's offsets: lost, or just ended.

        Call it before reading the notifications: Connect stores the offset of an ended snapshot after its
        notification.
        """
        stored = self._queued(server) if old else set()
        return {run.id for run in old if _collection(run) not in stored}

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
    last_notification = _notification_after(request.last_notification or {}, event)
    if event.kind == "TABLE_SCAN_COMPLETED":
        return replace(
            request,
            status=COMPLETED if event.status in SUCCESSFUL else FAILED,
            last_notification=last_notification,
        )
    if event.kind == "ABORTED":
        return replace(request, status=STOPPED, last_notification=last_notification)
    return replace(request, last_notification=last_notification)


def _notification_after(before: dict[str, Any], event: SnapshotEvent) -> dict[str, Any]:
    """The current chunk is notified after the pause.

    A second one shows that the snapshot continues: a restart ends the pause.
    """
    return {
        "kind": event.kind,
        "rows": event.rows,
        "status": event.status,
        "last_key": event.last_key or before.get("last_key", ""),
        "maximum_key": event.maximum_key or before.get("maximum_key", ""),
        "paused": event.kind == "PAUSED" or (event.kind == "IN_PROGRESS" and before.get("kind") == "PAUSED"),
    }


def _update(run: Run, request: SnapshotRequest) -> None:
    run.detail = {**run.detail, "after": request.after, "told": request.last_notification}
    if request.status != run.status:
        run.status, run.ended_at = request.status, utc_now()


def _progress(run: Run) -> SnapshotProgress:
    last_notification = run.detail.get("told") or {}
    keys = (str(last_notification.get("last_key") or ""), str(last_notification.get("maximum_key") or ""))
    return SnapshotProgress(
        _collection(run),
        run.status,
        run.detail.get("where"),
        run.started_at,
        last_notification.get("rows"),
        *keys,
        bool(last_notification.get("paused")),
    )


def _snapshots_of(server: str) -> Any:
    return select(Run).where(Run.kind == SNAPSHOT, Run.subject.startswith(f"{server}/", autoescape=True))


def _collection(run: Run) -> str:
    return str(run.subject).partition("/")[2]
