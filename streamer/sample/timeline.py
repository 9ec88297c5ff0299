"""An agent's states and contacts, read from ClickHouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from clickhouse_connect.driver.client import Client

from core.clients import clickhouse
from core.clock import Clock, system, utc_now
from core.settings import ClickHouseEndpoint
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample import messages

HOURS = 8
MAX_HOURS = 72
MAX_ROWS = 5000
"""Maximum number of rows; the newest are kept."""
MAX_LOOKBACK = dt.timedelta(days=14)
"""How long before the requested hours a state or contact may have started to be found."""
OF_AGENT = "account_id = {tenant:UInt32} AND agent_id = {agent:UInt32}"
SINCE, EARLIEST = "{since:DateTime64(3, 'UTC')}", "{earliest:DateTime64(3, 'UTC')}"
# As in the jobs: in milliseconds, and a time in the future is replaced by the commit time.
STATES = f"""
SELECT
    state, ifNull(reason, ''),
    toDateTime64(least(occurred_at, _committed_at), 3, 'UTC') AS moment, _committed_at
FROM base.agent_activity WHERE {OF_AGENT}"""
NEWEST = "ORDER BY moment DESC, activity_id DESC LIMIT"
WITHIN = f"{STATES} AND occurred_at > {SINCE} {NEWEST} {MAX_ROWS}"
BEFORE = f"{STATES} AND occurred_at <= {SINCE} AND occurred_at > {EARLIEST} {NEWEST} 1"
CONTACTS = f"""
SELECT interaction_id, channel, ifNull(queue_id, 0), started_at, answered_at, ended_at, _committed_at
FROM base.interactions
WHERE {OF_AGENT} AND started_at > {EARLIEST} AND (ended_at IS NULL OR ended_at > {SINCE})
ORDER BY started_at DESC, interaction_id DESC LIMIT {MAX_ROWS}
"""
Rows = Sequence[Sequence[Any]]


class TimelineReader:
    def __init__(self, endpoint: ClickHouseEndpoint, clock: Clock = system) -> None:
        self._endpoint = endpoint
        self._clock = clock

    @cached_property
    def _client(self) -> Client:
        """Shared by all threads: opening a client takes several times as long as the queries."""
        return clickhouse.connect(self._endpoint, read_timeout=10)

    def read(self, tenant: int, agent: int, back: dt.timedelta) -> pb.TimelineResponse:
        """Returns the last `back` of the timeline, oldest first; consecutive rows of one state are one span.

        Blocks for ClickHouse, at most 10 s for each query; raises TransientError.
        """
        since = utc_now(self._clock) - back
        parameters = {"tenant": tenant, "agent": agent, "since": since, "earliest": since - MAX_LOOKBACK}
        with clickhouse.answering(self._endpoint):
            states = _states(self._client, parameters)
            contacts = self._client.query(CONTACTS, parameters).result_rows[::-1]
        newest = max((row[-1] for row in (*states, *contacts)), default=None)
        return pb.TimelineResponse(
            spans=spans(states),
            contacts=[contact(*row) for row in contacts],
            known_at=messages.moment(newest),
        )


def _states(client: Client, parameters: dict[str, Any]) -> Rows:
    within = client.query(WITHIN, parameters).result_rows[::-1]
    if len(within) == MAX_ROWS:  # older rows are cut off, so the last one before the hours is not adjacent
        return within
    return [*client.query(BEFORE, parameters).result_rows, *within]


def spans(rows: Iterable[Sequence[Any]]) -> list[pb.Span]:
    """Merges rows of (state, reason, moment, ...), oldest first, into spans."""
    found: list[pb.Span] = []
    for state, reason, at, *_ in rows:
        if found and (found[-1].state, found[-1].reason) == (state, reason):
            continue
        moment = messages.moment_of(at)
        if found:
            found[-1].to.CopyFrom(moment)
        span = pb.Span(state=state, reason=reason)
        getattr(span, "from").CopyFrom(moment)
        found.append(span)
    return found


def contact(
    identity: int,
    channel: str,
    queue: int,
    began: dt.datetime,
    answered: dt.datetime | None,
    ended: dt.datetime | None,
    _: dt.datetime,
) -> pb.Contact:
    message = pb.Contact(
        interaction_id=identity,
        channel=channel,
        queue_id=queue,
        answered=messages.moment(answered),
        to=messages.moment(ended),
    )
    getattr(message, "from").CopyFrom(messages.moment_of(began))
    return message
