"""Which snapshots were asked for, and how each ended: the control database's memory, kept true by Debezium's notifications."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import or_, select

from connectors.rest import KafkaConnect
from connectors.snapshots import SnapshotEvent, follow, notified, request_snapshot
from core.control import ControlDatabase
from core.control.models import Run, utc_now
from core.settings import Endpoints
from schemas.render.connect import connector_name

SNAPSHOT = "snapshot"
REQUESTED, COMPLETED, FAILED, STOPPED = "REQUESTED", "COMPLETED", "FAILED", "STOPPED"
READ = ("SUCCEEDED", "EMPTY")
LOST_AFTER = dt.timedelta(seconds=30)
"""A load that was asked for so long ago and is not in the connector's offsets is none: the task that took its signal died
before it had stored it, or Debezium gave it up for an earlier load of the same collection."""


@dataclass(frozen=True)
class Load:
    """A snapshot of one collection. Only notifications from offset `after` on may tell of it."""

    id: int
    collection: str
    after: int
    status: str = REQUESTED
    told: dict[str, Any] | None = None
    """What the last notification told that named it."""


@dataclass(frozen=True)
class Newest:
    """How the newest whole load of a collection stands."""

    status: str
    asked_at: dt.datetime


@dataclass(frozen=True)
class Progress:
    """A load as a person is shown it. The keys are as the last chunk told them; `rows` is told at the end."""

    collection: str
    status: str
    where: str | None
    asked_at: dt.datetime
    rows: int | None
    last_key: str
    maximum_key: str
    paused: bool


class Loads:
    def __init__(self, endpoints: Endpoints, control: ControlDatabase) -> None:
        self._endpoints = endpoints
        self._control = control

    def request(self, server: str, collections: Sequence[str], where: str | None = None) -> None:
        """Asks for the collections to be read and remembers it. Blocks on Kafka and the control database."""
        after = notified(self._endpoints.kafka, server)
        signal = request_snapshot(self._endpoints.kafka, server, collections, where)
        detail = {"signal": signal, "after": after, "where": where}
        with self._control.session() as session:
            for name in collections:
                session.add(Run(kind=SNAPSHOT, subject=f"{server}/{name}", status=REQUESTED, detail=detail))

    def newest(self, server: str) -> dict[str, Newest]:
        """Collection -> its newest whole load. Blocks on Kafka while one is under way."""
        self.refresh(server)
        with self._control.session() as session:
            runs = session.scalars(_of(server).order_by(Run.id)).all()
        return {_collection(run): Newest(run.status, run.started_at) for run in runs if run.detail.get("where") is None}

    def outstanding(self, server: str) -> list[str]:
        """Collections that were asked for and are not wholly read yet."""
        self.refresh(server)
        with self._control.session() as session:
            return [_collection(run) for run in session.scalars(_of(server).where(Run.status == REQUESTED))]

    def shown(self, server: str, hours: float = 24) -> list[Progress]:
        """Loads under way, and those asked for in the last hours, in the order of asking. Blocks on Kafka while one is under way."""
        self.refresh(server)
        recent = or_(Run.status == REQUESTED, Run.started_at > utc_now() - dt.timedelta(hours=hours))
        with self._control.session() as session:
            return [_progress(run) for run in session.scalars(_of(server).where(recent).order_by(Run.id))]

    def wait(self, limit: float) -> list[str]:
        """Blocks until every server's snapshots are read, `limit` seconds at most; the ``server/database.table`` left over."""
        deadline = time.monotonic() + limit
        while True:
            left = [f"{server.name}/{name}" for server in self._endpoints.mysql for name in self.outstanding(server.name)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)

    def refresh(self, server: str, limit: float = 30) -> None:
        """Notes what the notifications have told of the loads under way. Blocks up to `limit` seconds."""
        with self._control.session() as session:
            runs = session.scalars(_of(server).where(Run.status == REQUESTED).order_by(Run.id)).all()
        if not runs:
            return
        loads = [Load(run.id, _collection(run), int(run.detail.get("after", 0)), told=run.detail.get("told")) for run in runs]
        not_queued = self._not_queued(server, [run for run in runs if utc_now() - run.started_at > LOST_AFTER])
        events = list(follow(self._endpoints, server, limit, since=min(load.after for load in loads)))
        settled = {load.id: load for load in settle(loads, events)}
        with self._control.session() as session:
            for run in session.scalars(select(Run).where(Run.id.in_(settled))):
                load = settled[run.id]
                if load.status == REQUESTED and run.id in not_queued:
                    load = replace(load, status=FAILED, told={"kind": "LOST"})
                _note(run, load)

    def _not_queued(self, server: str, old: Sequence[Run]) -> set[int]:
        """The runs that the connector's offsets do not queue: lost, or just ended.

        Call it before reading the notifications: Connect stores the offset of an ended snapshot no earlier than its notification.
        """
        stored = self._stored(server) if old else set()
        return {run.id for run in old if _collection(run) not in stored}

    def _stored(self, server: str) -> set[str]:
        """The collections that the connector's offsets hold as queued."""
        offsets = KafkaConnect(self._endpoints.connect).offsets(connector_name(server))
        queued = [json.loads(item["offset"].get("incremental_snapshot_collections") or "[]") for item in offsets if item["offset"]]
        return {item["incremental_snapshot_collections_id"] for items in queued for item in items}


def settle(loads: Sequence[Load], events: Iterable[SnapshotEvent]) -> list[Load]:
    """The loads after the events. One scan ends one load, the oldest: Debezium reads its queue in order."""
    current = {load.id: load for load in loads}
    for event in events:
        for load in _concerned(current.values(), event):
            current[load.id] = _after(load, event)
        for load in current.values():
            if event.kind == "TABLE_SCAN_COMPLETED" and load.collection == event.collection and load.status == REQUESTED:
                current[load.id] = replace(load, after=max(load.after, event.offset + 1))
    return list(current.values())


def _concerned(loads: Iterable[Load], event: SnapshotEvent) -> list[Load]:
    named = {event.collection} if event.collection else set(event.collections)
    opened = [load for load in loads if load.status == REQUESTED and load.after <= event.offset and load.collection in named]
    return opened[:1] if event.collection else opened


def _after(load: Load, event: SnapshotEvent) -> Load:
    told = _told(load.told or {}, event)
    if event.kind == "TABLE_SCAN_COMPLETED":
        return replace(load, status=COMPLETED if event.status in READ else FAILED, told=told)
    if event.kind == "ABORTED":
        return replace(load, status=STOPPED, told=told)
    return replace(load, told=told)


def _told(before: dict[str, Any], event: SnapshotEvent) -> dict[str, Any]:
    """The chunk in hand is told after the pause. One more chunk tells that it goes on: a restart forgets the pause."""
    return {
        "kind": event.kind,
        "rows": event.rows,
        "status": event.status,
        "last_key": event.last_key or before.get("last_key", ""),
        "maximum_key": event.maximum_key or before.get("maximum_key", ""),
        "paused": event.kind == "PAUSED" or (event.kind == "IN_PROGRESS" and before.get("kind") == "PAUSED"),
    }


def _note(run: Run, load: Load) -> None:
    run.detail = {**run.detail, "after": load.after, "told": load.told}
    if load.status != run.status:
        run.status, run.ended_at = load.status, utc_now()


def _progress(run: Run) -> Progress:
    told = run.detail.get("told") or {}
    keys = (str(told.get("last_key") or ""), str(told.get("maximum_key") or ""))
    return Progress(
        _collection(run), run.status, run.detail.get("where"), run.started_at, told.get("rows"), *keys, bool(told.get("paused"))
    )


def _of(server: str) -> Any:
    return select(Run).where(Run.kind == SNAPSHOT, Run.subject.startswith(f"{server}/", autoescape=True))


def _collection(run: Run) -> str:
    return str(run.subject).partition("/")[2]
