"""Named queries as streams of Arrow, straight from ClickHouse: nothing is decoded on the way."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping

import requests

from core import logging
from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from schemas.catalog import Catalog
from schemas.render.analytics import TENANT, Query, queries
from streamer.auth import Caller
from streamer.refusals import RefusalError

CHUNK = 1 << 20
MOST_SECONDS = 300
SETTINGS = {
    "default_format": "ArrowStream",
    "output_format_arrow_compression_method": "none",
    "max_memory_usage": str(2 << 30),
    "max_execution_time": str(MOST_SECONDS),
    "wait_end_of_query": "0",
}
log = logging.get("streamer")


class Analytics:
    def __init__(self, endpoint: ClickHouseEndpoint, catalog: Catalog) -> None:
        self._endpoint = endpoint
        self._queries = queries(catalog)

    async def query(self, caller: Caller, name: str, parameters: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Chunks of at most 1 MiB: end to end they are one Arrow IPC stream. Left before its end, the query is stopped.

        Raises RefusalError for what is not known, or not a value of its parameter's type.
        """
        query = self._chosen(name, parameters)
        identity = f"switchboard-{uuid.uuid4().hex}"
        answer = await asyncio.to_thread(self._ask, query, identity, caller.tenant, parameters)
        chunks, ended = _chunks(answer), False
        try:
            while chunk := await asyncio.to_thread(next, chunks, b""):
                yield chunk
            ended = True
        except requests.RequestException as error:
            raise RefusalError("unavailable", "the query ended before its last row; ask again") from error
        finally:
            answer.close()
            if not ended:
                await asyncio.shield(asyncio.to_thread(self._stop, identity))

    def _chosen(self, name: str, parameters: Mapping[str, str]) -> Query:
        query = self._queries.get(name)
        if query is None:
            raise RefusalError("invalid_argument", f"there is no query {name!r}; there are {', '.join(sorted(self._queries))}")
        if parameters.keys() != query.parameters.keys():
            wanted = ", ".join(query.parameters) or "none"
            raise RefusalError(
                "invalid_argument", f"query {name!r} has the parameters {wanted}, not {', '.join(sorted(parameters)) or 'none'}"
            )
        for parameter, value in parameters.items():
            _check(parameter, value, query.parameters[parameter])
        return query

    def _ask(self, query: Query, identity: str, tenant: int, parameters: Mapping[str, str]) -> requests.Response:
        values = {f"param_{name}": _spelled(value, query.parameters[name]) for name, value in parameters.items()}
        try:
            answer = requests.post(
                f"http://{self._endpoint.host}:{self._endpoint.http_port}/",
                params={**SETTINGS, **values, f"param_{TENANT}": str(tenant), "query_id": identity},
                data=query.sql.encode(),
                auth=(self._endpoint.user, self._endpoint.password.get_secret_value()),
                headers={"Accept-Encoding": "identity"},
                stream=True,
                timeout=(5, MOST_SECONDS),
            )
        except requests.RequestException as error:
            raise RefusalError("unavailable", "ClickHouse does not answer; ask again") from error
        if answer.status_code != 200:
            log.error("query refused", query=query.sql, reason=answer.text[:500])
            raise RefusalError("unavailable", "ClickHouse refuses the query; the server's log tells why")
        return answer

    def _stop(self, identity: str) -> None:
        try:
            clickhouse.connect(self._endpoint, read_timeout=10).command("KILL QUERY WHERE query_id = {id:String} ASYNC", {"id": identity})
        except Exception as error:
            log.warning("a query that nobody reads could not be stopped", query_id=identity, error=str(error))


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """As they come: a first small one is not held back until a large one is full."""
    while data := answer.raw.read1(CHUNK):
        yield data


def _check(name: str, value: str, kind: str) -> None:
    try:
        _spelled(value, kind)
    except ValueError:
        wanted = "a date, as 2026-11-23" if kind.startswith("Date32") else "a time in ISO 8601, as 2026-11-23T10:00:00Z"
        raise RefusalError("invalid_argument", f"parameter {name!r} is {value[:50]!r}; it has to be {wanted}") from None


def _spelled(value: str, kind: str) -> str:
    """As ClickHouse reads it: in UTC. Raises ValueError if it is no such value."""
    if kind.startswith("Date32"):
        return dt.date.fromisoformat(value).isoformat()
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="microseconds")
