"""Inserts into ClickHouse over HTTP, and the classification of their errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain

import requests

from core import logging, metrics
from core.clients.clickhouse import first_line
from core.errors import MisconfiguredError, PoisonError, TransientError
from core.retrying import is_transient, retry_transient
from core.settings import ClickHouseEndpoint

RECORD_ERRORS = frozenset(
    {6, 26, 27, 32, 33, 34, 38, 41, 69, 70, 72, 117, 128, 131, 321, 349, 395, 407, 441, 467, 636, 1001}
)
"""ClickHouse's error codes that a record can cause: parsing, conversion, a violated constraint."""

STRUCTURE_ERRORS = frozenset({16, 47, 60, 81})
"""A missing column, table or database: retrying helps only once the contracts are applied."""

LIMITS = {"max_query_size": 16 << 20}
"""The query of a table with a thousand columns has about 300 KB, too long for the URL: it is sent before the
data."""

log = logging.get("lander")


class UnfitTableError(TransientError):
    """The table differs from its contract: transient while `apply` runs, else an operator must act."""


class ClickHouseWriter:
    """Sends Avro files over one keep-alive connection; one writer per thread."""

    def __init__(
        self, endpoint: ClickHouseEndpoint, retry_timeout: float, stopping: Callable[[], bool]
    ) -> None:
        self._session = requests.Session()
        self._session.auth = (endpoint.user, endpoint.password.get_secret_value())
        self._endpoint = endpoint
        self._url = f"http://{endpoint.host}:{endpoint.http_port}/"
        self._retry_timeout = retry_timeout
        self._stopping = stopping

    def insert(self, table: str, query: str, body: Callable[[], Iterable[bytes]]) -> None:
        """Sends the bytes of `body`, called for each attempt, and blocks until ClickHouse has acknowledged
        them.

        Raises PoisonError if a record cannot land, TransientError after `patience` seconds without success,
        UnfitTableError at once, MisconfiguredError if an operator must act.
        """

        def before_retry(attempt: int, error: BaseException) -> None:
            metrics.INSERT_RETRIES.labels(table).inc()
            log.warning("insert retried", table=table, attempt=attempt, error=str(error))
            if self._stopping():
                raise TransientError(
                    f"table {table!r}: stopped while ClickHouse did not answer; the batch is not committed"
                )

        started = time.monotonic()
        retry_transient(
            lambda: self._send(table, query, body),
            self._retry_timeout,
            max_pause=10.0,
            jitter=1.0,
            is_retried=_is_retried,
            before_retry=before_retry,
        )
        metrics.INSERT_SECONDS.labels(table).observe(time.monotonic() - started)
        metrics.INSERTS.labels(table).inc()

    def _send(self, table: str, query: str, body: Callable[[], Iterable[bytes]]) -> None:
        try:
            sent = chain((query.encode() + b"\n",), body())
            answer = self._session.post(self._url, params=LIMITS, data=sent, timeout=(10, 300))
        except requests.RequestException as error:
            raise TransientError(
                f"table {table!r}: ClickHouse at {self._endpoint.host}:{self._endpoint.http_port} does not "
                "answer"
            ) from error
        if answer.status_code != 200 or "X-ClickHouse-Exception-Code" in answer.headers:
            raise _classified(table, int(answer.headers.get("X-ClickHouse-Exception-Code", 0)), answer.text)


def _is_retried(error: BaseException) -> bool:
    return is_transient(error) and not isinstance(error, UnfitTableError)


def _classified(table: str, code: int, text: str) -> TransientError | PoisonError | MisconfiguredError:
    what = f"table {table!r}: {first_line(Exception(text))}"
    if code in RECORD_ERRORS:
        return PoisonError(what)
    if code in (193, 194, 497, 516):
        return MisconfiguredError(what, "check ClickHouse's user, password and grants")
    if code in STRUCTURE_ERRORS:
        return UnfitTableError(what, "run `switchboard apply`")
    return TransientError(what)
