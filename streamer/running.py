"""One query of ClickHouse as a stream of bytes, which can be stopped at any moment."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import socket
import threading
import uuid
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from core import logging
from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from streamer.refusals import RefusalError

CHUNK = 1 << 20
RECEIVE_BUFFER = 1 << 20
"""Bytes. Linux lets the buffer grow to tens of megabytes by itself: a reader that stops would not stop its query before that."""
CONNECT_SECONDS = 5.0
MOST_SECONDS = 300
SETTINGS = {
    "readonly": "2",
    "cancel_http_readonly_queries_on_client_close": "1",
    "default_format": "ArrowStream",
    "output_format_arrow_compression_method": "none",
    "max_memory_usage": str(2 << 30),
    "max_execution_time": str(MOST_SECONDS),
    "wait_end_of_query": "0",
}
AWAY = "ClickHouse does not answer; ask again"
ENDED = "the query ended before its last row; ask again"
log = logging.get("streamer")


class RunningQuery:
    """On a connection of its own. `ask` and `read` block, and are called in one thread at a time; `stop` never blocks."""

    def __init__(self, endpoint: ClickHouseEndpoint) -> None:
        self.id = f"switchboard-{uuid.uuid4().hex}"
        self.work: concurrent.futures.Future[Any] | None = None
        """The call of `ask` or `read` that was begun last."""
        self._endpoint = endpoint
        self._connection = http.client.HTTPConnection(endpoint.host, endpoint.http_port, timeout=CONNECT_SECONDS)
        self._answer: http.client.HTTPResponse | None = None
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._stopped = False

    def ask(self, sql: str, values: Mapping[str, str]) -> None:
        """Until its first bytes come. Raises RefusalError."""
        try:
            self._send(sql, values)
            self._answer = self._connection.getresponse()
            if self._answer.status != 200:
                log.error("query refused", query=sql, reason=self._answer.read(500).decode(errors="replace"))
                raise RefusalError("unavailable", "ClickHouse refuses the query; the server's log tells why")
        except (OSError, http.client.HTTPException) as error:
            raise RefusalError("unavailable", AWAY) from error

    def _send(self, sql: str, values: Mapping[str, str]) -> None:
        self._connection.connect()
        with self._lock:
            self._socket, stopped = self._connection.sock, self._stopped
        if stopped:
            raise ConnectionAbortedError("stopped before it was asked")
        self._socket.settimeout(MOST_SECONDS)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        parameters = {**SETTINGS, **{f"param_{name}": value for name, value in values.items()}, "query_id": self.id}
        login = f"{self._endpoint.user}:{self._endpoint.password.get_secret_value()}".encode()
        headers = {"Authorization": f"Basic {b64encode(login).decode()}"}
        self._connection.request("POST", f"/?{urlencode(parameters)}", sql.encode(), headers)

    def read(self) -> bytes:
        """What has come, `CHUNK` bytes at most: a small first piece is not held back. Empty at the end. Raises RefusalError."""
        assert self._answer is not None
        try:
            return self._answer.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise RefusalError("unavailable", ENDED) from error

    def stop(self) -> None:
        """Wakes the thread that waits for ClickHouse, and tells ClickHouse that nobody reads."""
        with self._lock:
            self._stopped, shut = True, self._socket
        if shut is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                shut.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Blocks: a query that waits for other things than its reader does not see that nobody reads."""
        try:
            client = clickhouse.connect(self._endpoint, read_timeout=10)
            client.command("KILL QUERY WHERE query_id = {id:String} SYNC", {"id": self.id})
            client.close()
        except Exception as error:
            log.warning("a query that nobody reads could not be stopped", query_id=self.id, error=str(error))

    def close(self) -> None:
        """Blocks until the thread that reads has come back; after `stop` it does at once."""
        if self.work is not None:
            concurrent.futures.wait([self.work])
        if self._answer is not None:
            self._answer.close()
        self._connection.close()
