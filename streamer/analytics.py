"""Named queries as streams of Arrow, straight from ClickHouse: nothing is decoded on the way."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from core.settings import ClickHouseEndpoint, StreamerSettings
from schemas.catalog import Catalog
from schemas.render.analytics import TEAMS, TENANT, Query, queries
from streamer.auth import CLEAR, EXPIRED, Caller
from streamer.refusals import RefusalError
from streamer.running import RunningQuery

SCOPE = "analytics"
"""The word in a token's `scope` without which it may ask nothing."""
P = ParamSpec("P")
T = TypeVar("T")


class Analytics:
    """Owned by one loop. Its threads are its own: however slow its queries, nobody else waits for a thread."""

    def __init__(self, endpoint: ClickHouseEndpoint, catalog: Catalog, settings: StreamerSettings) -> None:
        self._endpoint = endpoint
        self._queries = queries(catalog)
        self._places = Places(settings.most_queries, settings.most_queries_of_tenant)
        self._threads = ThreadPoolExecutor(settings.most_queries, "query")
        self._enders = ThreadPoolExecutor(2, "query-end")
        self._ending: set[asyncio.Task[None]] = set()

    async def query(self, caller: Caller, name: str, parameters: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Chunks of at most 1 MiB: end to end they are one Arrow IPC stream. Left before its end, the query is stopped.

        Raises RefusalError: for what is not known, not a value of its parameter's type or not the token's to ask, when
        too many queries run, and when the token expires.
        """
        query = self._chosen(caller, name, parameters)
        values = {parameter: _spelled(value, query.parameters[parameter]) for parameter, value in parameters.items()}
        values |= {TENANT: str(caller.tenant), **({} if caller.teams is None else {TEAMS: str(sorted(caller.teams))})}
        self._places.take(caller.tenant)
        running, whole = RunningQuery(self._endpoint), False
        try:
            sql = query.sql(clear=caller.privacy == CLEAR, teams=caller.teams is not None)
            await self._while_valid(caller, running, running.ask, sql, values)
            while chunk := await self._while_valid(caller, running, running.read):
                yield chunk
            whole = True
        finally:
            running.stop()
            ending = asyncio.create_task(self._end(running, caller.tenant, whole=whole))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Until the queries that were stopped are no more. No query may be asked after it."""
        await asyncio.gather(*self._ending)
        for threads in (self._threads, self._enders):
            threads.shutdown(wait=False)

    async def _while_valid(self, caller: Caller, running: RunningQuery, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        running.work = work = self._threads.submit(call, *arguments, **named)
        try:
            async with asyncio.timeout(max(0.0, caller.expires - time.time())):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise RefusalError("unauthenticated", EXPIRED) from None

    async def _end(self, running: RunningQuery, tenant: int, *, whole: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            if not whole:
                await loop.run_in_executor(self._enders, running.kill)
            await loop.run_in_executor(self._enders, running.close)
        finally:
            self._places.give(tenant)

    def _chosen(self, caller: Caller, name: str, parameters: Mapping[str, str]) -> Query:
        if SCOPE not in caller.scopes:
            raise RefusalError("permission_denied", f"the token's scope does not hold {SCOPE!r}")
        query = self._queries.get(name)
        if query is None:
            raise RefusalError("invalid_argument", f"there is no query {name!r}; there are {', '.join(sorted(self._queries))}")
        if caller.teams is not None and query.of_teams is None:
            raise RefusalError("permission_denied", f"the token is of some teams alone, and nothing tells the team of a row of {name!r}")
        if not query.public and caller.privacy != CLEAR:
            raise RefusalError("permission_denied", f"{name!r} has no public columns, and the token's claim `privacy` is not {CLEAR!r}")
        if parameters.keys() != query.parameters.keys():
            wanted = ", ".join(query.parameters) or "none"
            raise RefusalError(
                "invalid_argument", f"query {name!r} has the parameters {wanted}, not {', '.join(sorted(parameters)) or 'none'}"
            )
        for parameter, value in parameters.items():
            _check(parameter, value, query.parameters[parameter])
        return query


class Places:
    """How many queries run, in all and of each tenant."""

    def __init__(self, most: int, most_of_tenant: int) -> None:
        self._most, self._most_of_tenant = most, most_of_tenant
        self._taken: Counter[int] = Counter()

    def take(self, tenant: int) -> None:
        """Raises RefusalError if there is none."""
        if self._taken[tenant] >= self._most_of_tenant:
            raise RefusalError(
                "resource_exhausted", f"{self._taken[tenant]} queries of this tenant run already; ask again when one has ended"
            )
        if self._taken.total() >= self._most:
            raise RefusalError("resource_exhausted", "the server runs as many queries as it may; ask again soon")
        self._taken[tenant] += 1

    def give(self, tenant: int) -> None:
        self._taken[tenant] -= 1
        if not self._taken[tenant]:
            del self._taken[tenant]


def _check(name: str, value: str, kind: str) -> None:
    try:
        _spelled(value, kind)
    except (ValueError, OverflowError):
        wanted = "a date, as 2026-11-23" if kind.startswith("Date32") else "a time in ISO 8601, as 2026-11-23T10:00:00Z"
        raise RefusalError("invalid_argument", f"parameter {name!r} is {value[:50]!r}; it has to be {wanted}") from None


def _spelled(value: str, kind: str) -> str:
    """As ClickHouse reads it: in UTC. Raises ValueError or OverflowError if it is no such value."""
    if kind.startswith("Date32"):
        return dt.date.fromisoformat(value).isoformat()
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="microseconds")
