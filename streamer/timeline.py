"""One agent's states, out of ClickHouse."""

from __future__ import annotations

import datetime as dt

from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from streamer import messages
from streamer.gen.switchboard.v1 import live_pb2 as pb

HOURS = 8
MOST_HOURS = 72
QUERY = """
SELECT state, ifNull(reason, ''), occurred_at FROM base.agent_activity
WHERE account_id = {tenant:UInt32} AND agent_id = {agent:UInt32} AND occurred_at > {since:DateTime64(3)} AND occurred_at <= now64(3)
ORDER BY occurred_at, activity_id
LIMIT 5000
"""


class Timelines:
    def __init__(self, endpoint: ClickHouseEndpoint) -> None:
        self._endpoint = endpoint

    def spans(self, tenant: int, agent: int, back: dt.timedelta) -> list[pb.Span]:
        """Oldest first; neighbours of one state are one span. Blocks on ClickHouse, 10 s at most."""
        since = dt.datetime.now(dt.UTC).replace(tzinfo=None) - back
        client = clickhouse.connect(self._endpoint, read_timeout=10)
        found: list[pb.Span] = []
        for state, reason, at in client.query(QUERY, {"tenant": tenant, "agent": agent, "since": since}).result_rows:
            moment = messages.moment_of(at)
            if found and (found[-1].state, found[-1].reason) == (state, reason):
                continue
            if found:
                found[-1].to.CopyFrom(moment)
            span = pb.Span(state=state, reason=reason)
            getattr(span, "from").CopyFrom(moment)
            found.append(span)
        return found
