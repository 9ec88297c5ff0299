"""Encodes rows as the messages of live.proto."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample.alerts import Alert
from streamer.sample.tenant import Row
from streamer.sample.windows import Counts, Frame, Windows


def agent(row: Row, occupancy: float | None) -> pb.Agent:
    return pb.Agent(
        agent_id=row["agent_id"],
        name=row["name"] or "",
        team_id=row["team_id"] or 0,
        team=row["team"] or "",
        state=row["state"],
        reason=row["reason"] or "",
        since=moment(row["since"]),
        contacts={channel: count for channel, count in json.loads(row["contacts"]).items() if count > 0},
        queue_ids=row["queues"],
        changed_at=of_ms(row["committed_ms"]),
        occupancy=occupancy,
    )


def queue(row: Row, windows: Windows, frame: Frame, occupancies: Mapping[str, float | None]) -> pb.Queue:
    """Returns the queue without its trend. `windows` must have been moved to the frame."""
    return pb.Queue(
        queue_id=row["queue_id"],
        name=row["name"] or "",
        channel=row["channel"] or "",
        target_seconds=row["target_seconds"] or 0,
        waiting=row["waiting"],
        oldest_waiting_since=moment(row["oldest_waiting_since"]),
        in_service=row["in_service"],
        agents_available=row["agents_available"],
        agents_busy=row["agents_busy"],
        agents_offline=row["agents_offline"],
        windows=[
            window(name, frame.begins[name], counts, occupancies.get(name))
            for name, counts in windows.sums.items()
        ],
        changed_at=of_ms(row["committed_ms"]),
        counted_at=of_ms(windows.counted_ms),
    )


def window(span: str, begin: dt.datetime, counts: Counts, occupancy: float | None) -> pb.Window:
    message = pb.Window(
        span=span,
        offered=counts.offered,
        answered=counts.answered,
        abandoned=counts.abandoned,
        short_abandons=counts.short_abandons,
        within_target=counts.within_target,
        counted=max(0, counts.counted),
        asa_seconds=counts.asa_seconds,
        aht_seconds=counts.aht_seconds,
        service_level=counts.service_level,
        occupancy=occupancy,
    )
    getattr(message, "from").FromDatetime(begin)
    return message


def trend(points: Iterable[Counts]) -> pb.Queue:
    """Returns a queue with only a trend, to be merged into the queue."""
    return pb.Queue(
        trend=[
            pb.Minute(offered=point.offered, answered=point.answered, abandoned=point.abandoned)
            for point in points
        ]
    )


def alert(source: Alert) -> pb.Alert:
    return pb.Alert(
        alert_id=source.id,
        metric=source.subject.metric,
        level=pb.LEVEL_CRITICAL if source.level == "critical" else pb.LEVEL_WARNING,
        queue_id=source.subject.queue_id,
        agent_id=source.subject.agent_id,
        value=source.value,
        threshold=source.threshold,
        raised_at=moment(source.raised_at),
        cleared_at=moment(source.cleared_at),
        acknowledged_by=source.acknowledged_by,
        acknowledged_at=moment(source.acknowledged_at),
    )


def moment(value: dt.datetime | None) -> Timestamp | None:
    return None if value is None else moment_of(value)


def moment_of(value: dt.datetime) -> Timestamp:
    """`value` is in UTC without a time zone."""
    message = Timestamp()
    message.FromDatetime(value)
    return message


def of_ms(value: int) -> Timestamp | None:
    """Returns None for 0, which means unknown."""
    if not value:
        return None
    message = Timestamp()
    message.FromMilliseconds(value)
    return message
