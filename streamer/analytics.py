"""Named queries: streams of Arrow data, forwarded from ClickHouse without decoding."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from core.clock import Clock, system
from core.settings import ClickHouseEndpoint, StreamerSettings
from schemas.catalog import Catalog
from schemas.render.analytics import TEAMS, TENANT, Query, queries
from streamer.auth import CLEAR, EXPIRED, Caller
from streamer.rpc_errors import RpcError
from streamer.running_query import RunningQuery

SCOPE = "analytics"
"""The scope that a token needs to run queries."""
P = ParamSpec("P")
T = TypeVar("T")


class Analytics:
    """Used from one event loop. Queries run in threads of their own, so slow ones delay nothing else."""

    def __init__(
        self,
        endpoint: ClickHouseEndpoint,
        catalog: Catalog,
        settings: StreamerSettings,
        clock: Clock = system,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._queries = queries(catalog)
        self._slots = QuerySlots(settings.max_queries, settings.max_queries_of_tenant)
        self._threads = ThreadPoolExecutor(settings.max_queries, "query")
        self._enders = ThreadPoolExecutor(2, "query-end")
        self._ending: set[asyncio.Task[None]] = set()

    async def query(
        self, caller: Caller, name: str, parameters: Mapping[str, str]
    ) -> AsyncGenerator[bytes, None]:
        """Yields chunks of at most 1 MiB that concatenate to one Arrow IPC stream. Closing the generator
        early stops the query.

        Raises RpcError if the query or a parameter is unknown, a value has the wrong type, the token does not
        permit the query, too many queries run, or the token expires meanwhile.
        """
        query = self._validated(caller, name, parameters)
        values = {
            parameter: _encoded(value, query.parameters[parameter]) for parameter, value in parameters.items()
        }
        values |= {
            TENANT: str(caller.tenant),
            **({} if caller.teams is None else {TEAMS: str(sorted(caller.teams))}),
        }
        self._slots.acquire(caller.tenant)
        running, complete = RunningQuery(self._endpoint), False
        try:
            sql = query.sql(clear=caller.privacy == CLEAR, teams=caller.teams is not None)
            await self._while_valid(caller, running, running.execute, sql, values)
            while chunk := await self._while_valid(caller, running, running.read):
                yield chunk
            complete = True
        finally:
            running.stop()
            ending = asyncio.create_task(self._end(running, caller.tenant, complete=complete))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Waits until stopped queries have ended. No query may be started after it."""
        await asyncio.gather(*self._ending)
        for threads in (self._threads, self._enders):
            threads.shutdown(wait=False)

    async def _while_valid(
        self,
        caller: Caller,
        running: RunningQuery,
        call: Callable[P, T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        running.work = work = self._threads.submit(call, *arguments, **named)
        try:
            async with asyncio.timeout(caller.seconds_left(self._clock())):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            raise RpcError("unauthenticated", EXPIRED) from None

    async def _end(self, running: RunningQuery, tenant: int, *, complete: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            if not complete:
                await loop.run_in_executor(self._enders, running.kill)
            await loop.run_in_executor(self._enders, running.close)
        finally:
            self._slots.release(tenant)

    def _validated(self, caller: Caller, name: str, parameters: Mapping[str, str]) -> Query:
        if SCOPE not in caller.scopes:
            raise RpcError("permission_denied", f"the token's scope does not include {SCOPE!r}")
        query = self._queries.get(name)
        if query is None:
            raise RpcError(
                "invalid_argument",
                f"there is no query {name!r}; the queries are {', '.join(sorted(self._queries))}",
            )
        if caller.teams is not None and query.of_teams is None:
            raise RpcError(
                "permission_denied", f"the token is limited to teams, and rows of {name!r} have no team"
            )
        if not query.public and caller.privacy != CLEAR:
            raise RpcError(
                "permission_denied",
                f"{name!r} has no public columns, and the token's claim `privacy` is not {CLEAR!r}",
            )
        if parameters.keys() != query.parameters.keys():
            wanted = ", ".join(query.parameters) or "none"
            raise RpcError(
                "invalid_argument",
                f"query {name!r} has the parameters {wanted}, not {', '.join(sorted(parameters)) or 'none'}",
            )
        for parameter, value in parameters.items():
            _check(parameter, value, query.parameters[parameter])
        return query


class QuerySlots:
    """Limits the number of concurrent queries, in total and for each tenant."""

    def __init__(self, limit: int, max_of_tenant: int) -> None:
        self._limit, self._max_of_tenant = limit, max_of_tenant
        self._used: Counter[int] = Counter()

    def acquire(self, tenant: int) -> None:
        """Raises RpcError if no slot is free."""
        if self._used[tenant] >= self._max_of_tenant:
            raise RpcError(
                "resource_exhausted",
                f"the limit of {self._max_of_tenant} concurrent queries of a tenant is reached; retry when "
                "one has ended",
            )
        if self._used.total() >= self._limit:
            raise RpcError(
                "resource_exhausted", "the server's limit of concurrent queries is reached; retry later"
            )
        self._used[tenant] += 1

    def release(self, tenant: int) -> None:
        self._used[tenant] -= 1
        if not self._used[tenant]:
            del self._used[tenant]


def _check(name: str, value: str, kind: str) -> None:
    try:
        _encoded(value, kind)
    except (ValueError, OverflowError):
        wanted = (
            "a date, such as 2026-11-23"
            if kind.startswith("Date32")
            else "a time in ISO 8601, such as 2026-11-23T10:00:00Z"
        )
        raise RpcError(
            "invalid_argument", f"parameter {name!r} is {value[:50]!r}; it must be {wanted}"
        ) from None


def _encoded(value: str, kind: str) -> str:
    """Returns the value as ClickHouse parses it, in UTC.

    Raises ValueError or OverflowError if it is not of the type.
    """
    if kind.startswith("Date32"):
        return dt.date.fromisoformat(value).isoformat()
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="microseconds")
