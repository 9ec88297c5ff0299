"""Connections to ClickHouse over HTTP, and which of its errors a record can cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from core.errors import MisconfiguredError, SwitchboardError, TransientError
from core.settings import ClickHouseEndpoint

AUTHENTICATION_FAILED = (193, 194, 516)


def connect(endpoint: ClickHouseEndpoint, *, read_timeout: float = 300) -> Client:
    """Opens a client (one per thread). Raises TransientError (away) or MisconfiguredError (refused)."""
    try:
        return clickhouse_connect.get_client(
            host=endpoint.host,
            port=endpoint.http_port,
            username=endpoint.user,
            password=endpoint.password.get_secret_value(),
            connect_timeout=10,
            send_receive_timeout=int(read_timeout),
            autogenerate_session_id=False,
            compress=False,
        )
    except (ClickHouseError, OSError) as error:
        raise named(endpoint, error) from error


@contextmanager
def answering(endpoint: ClickHouseEndpoint) -> Iterator[None]:
    """What a client's call within raises comes out as TransientError (away) or MisconfiguredError (refused)."""
    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        raise named(endpoint, error) from error


def error_code(error: Exception) -> int | None:
    """ClickHouse's own error number, or None where the server never answered."""
    found = re.search(r"(?:Code: |error code |code: )(\d+)", str(error))
    return int(found.group(1)) if found else None


def named(endpoint: ClickHouseEndpoint, error: Exception) -> SwitchboardError:
    place = f"ClickHouse at {endpoint.host}:{endpoint.http_port}"
    code = error_code(error)
    if code in AUTHENTICATION_FAILED:
        return MisconfiguredError(f"{place} refused user {endpoint.user!r}", "check the user and password in the settings")
    if code is None:
        return TransientError(f"{place} does not answer", "is it running? `switchboard status` tells")
    return MisconfiguredError(f"{place}: {first_line(error)}", "see the error's number in ClickHouse's documentation")


def first_line(error: Exception) -> str:
    """The error's first line without the server's version and stack."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"\s*\(version [^)]*\)+.*", "", text)[:500]
