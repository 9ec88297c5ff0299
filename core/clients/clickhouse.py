"""Connections to ClickHouse over HTTP, and the classification of its errors."""

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
    """Opens a client; threads may share it. Blocks up to 10 s.

    Raises TransientError (unavailable) or MisconfiguredError (refused).
    """
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
        raise classify(endpoint, error) from error


@contextmanager
def answering(endpoint: ClickHouseEndpoint) -> Iterator[None]:
    """Raises errors of a client within the block as TransientError (unavailable) or MisconfiguredError
    (refused)."""
    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        raise classify(endpoint, error) from error


def error_code(error: Exception) -> int | None:
    """Returns ClickHouse's error number, or None if the server did not answer."""
    found = re.search(r"(?:Code: |error code |code: )(\d+)", str(error))
    return int(found.group(1)) if found else None


def classify(endpoint: ClickHouseEndpoint, error: Exception) -> SwitchboardError:
    address = f"ClickHouse at {endpoint.host}:{endpoint.http_port}"
    code = error_code(error)
    if code in AUTHENTICATION_FAILED:
        return MisconfiguredError(
            f"{address} refused user {endpoint.user!r}", "check the user and password in the settings"
        )
    if code is None:
        return TransientError(f"{address} does not answer", "is it running? see `switchboard status`")
    return MisconfiguredError(
        f"{address}: {first_line(error)}", "see the error's number in ClickHouse's documentation"
    )


def first_line(error: Exception) -> str:
    """Returns the error's first line, without the server's version and stack trace."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"\s*\(version [^)]*\)+.*", "", text)[:500]
