"""One ClickHouse query as a stream of bytes that can be stopped at any time."""

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
from streamer.rpc_errors import RpcError

CHUNK = 1 << 20
RECEIVE_BUFFER = 1 << 20
"""Bytes. Linux lets the buffer grow to tens of megabytes by itself: a reader that stops would not stop its
query before that."""
CONNECT_SECONDS = 5.0
MAX_SECONDS = 300
SETTINGS = {
    "readonly": "2",
    "cancel_http_readonly_queries_on_client_close": "1",
    "default_format": "ArrowStream",
    "output_format_arrow_compression_method": "none",
    "max_memory_usage": str(2 << 30),
    "max_execution_time": str(MAX_SECONDS),
    "wait_end_of_query": "0",
}
UNAVAILABLE = "ClickHouse does not answer; retry"
ENDED = "the query ended before its last row; retry"
log = logging.get("streamer")


class RunningQuery:
    """Has its own connection.

    `execute` and `read` block and are called from one thread at a time; `stop` never blocks.
    """

    def __init__(self, endpoint: ClickHouseEndpoint) -> None:
        self.id = f"switchboard-{uuid.uuid4().hex}"
        self.work: concurrent.futures.Future[Any] | None = None
        """The latest call of `execute` or `read`."""
        self._endpoint = endpoint
        self._connection = http.client.HTTPConnection(
            endpoint.host, endpoint.http_port, timeout=CONNECT_SECONDS
        )
        self._answer: http.client.HTTPResponse | None = None
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._stopped = False

    def execute(self, sql: str, values: Mapping[str, str]) -> None:
        """Blocks until the first bytes of the result. Raises RpcError."""
        try:
            self._send(sql, values)
            self._answer = self._connection.getresponse()
            if self._answer.status != 200:
                log.error("query refused", query=sql, reason=self._answer.read(500).decode(errors="replace"))
                raise RpcError("unavailable", "ClickHouse refuses the query; see the server's log")
        except (OSError, http.client.HTTPException) as error:
            raise RpcError("unavailable", UNAVAILABLE) from error

    def _send(self, sql: str, values: Mapping[str, str]) -> None:
        self._connection.connect()
        with self._lock:
            self._socket, stopped = self._connection.sock, self._stopped
        if stopped:
            raise ConnectionAbortedError("stopped before the query was sent")
        self._socket.settimeout(MAX_SECONDS)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        parameters = {
            **SETTINGS,
            **{f"param_{name}": value for name, value in values.items()},
            "query_id": self.id,
        }
        login = f"{self._endpoint.user}:{self._endpoint.password.get_secret_value()}".encode()
        headers = {"Authorization": f"Basic {b64encode(login).decode()}"}
        self._connection.request("POST", f"/?{urlencode(parameters)}", sql.encode(), headers)

    def read(self) -> bytes:
        """Returns the bytes that have arrived, at most `CHUNK`; empty at the end. Raises RpcError."""
        assert self._answer is not None
        try:
            return self._answer.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise RpcError("unavailable", ENDED) from error

    def stop(self) -> None:
        """Wakes the thread that waits for ClickHouse, and closes the connection, by which ClickHouse cancels
        the query."""
        with self._lock:
            self._stopped, open_socket = True, self._socket
        if open_socket is not None:
            with contextlib.suppress(OSError):  # already closed by the server
                open_socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Kills the query by its id, as one that sends nothing does not notice the closed connection.

        Blocks.
        """
        try:
            client = clickhouse.connect(self._endpoint, read_timeout=10)
            client.command("KILL QUERY WHERE query_id = {id:String} SYNC", {"id": self.id})
            client.close()
        except Exception as error:
            log.warning("a stopped query could not be killed", query_id=self.id, error=str(error))

    def close(self) -> None:
        """Blocks until the reading thread has returned, which is at once after `stop`."""
        if self.work is not None:
            concurrent.futures.wait([self.work])
        if self._answer is not None:
            self._answer.close()
        self._connection.close()
