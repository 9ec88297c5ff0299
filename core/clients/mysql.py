"""Connections to MySQL: UTC sessions, utf8mb4, and errors that name the server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from core.errors import MisconfiguredError, TransientError
from core.settings import MySqlServer

ACCESS_DENIED = (1044, 1045, 1142, 1143, 1227, 1698)
AWAY = (0, 1040, 1053, 1203, 2002, 2003, 2006, 2013, 2014, 2055, 4031)
"""The connection is lost, or none can be opened; pymysql's 0 is for one that was closed before."""


class _Connection(pymysql.Connection):
    """Connections share a TLS context: each would load every certificate of the system, 40 ms, and then not
    verify any."""

    def _create_ssl_ctx(self, _: object) -> ssl.SSLContext:
        return _shared_context()


@cache
def _shared_context() -> ssl.SSLContext:
    """As pymysql's without a certificate: encrypted if the server supports it, not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(
    server: MySqlServer,
    database: str | None = None,
    *,
    autocommit: bool = True,
    found_rows: bool = False,
    read_timeout: float = 600,
) -> pymysql.Connection[Cursor]:
    """Opens one connection. Blocks up to 10 s. Raises TransientError (unavailable) or MisconfiguredError
    (refused).

    With `found_rows`, an UPDATE's `rowcount` counts matched rows instead of changed ones.
    """
    try:
        return _Connection(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password.get_secret_value(),
            database=database,
            autocommit=autocommit,
            charset="utf8mb4",
            client_flag=CLIENT.FOUND_ROWS if found_rows else 0,
            connect_timeout=10,
            read_timeout=read_timeout,
            init_command="SET time_zone = '+00:00', group_concat_max_len = 1048576",
        )
    except pymysql.err.OperationalError as error:
        raise (classify(server, error) or _away(server, error)) from error


def classify(server: MySqlServer, error: BaseException | None) -> TransientError | MisconfiguredError | None:
    """Returns the driver's error as ours if it concerns the server; None if it concerns the statement."""
    code = error.args[0] if isinstance(error, pymysql.err.MySQLError) and error.args else None
    if code in ACCESS_DENIED:
        return MisconfiguredError(
            f"{_address(server)} refused user {server.user!r}", "check the user and password in the settings"
        )
    return _away(server, error) if code in AWAY else None


def _away(server: MySqlServer, error: BaseException | None) -> TransientError:
    detail = error.args[1] if error is not None and len(error.args) > 1 else error
    return TransientError(
        f"{_address(server)} does not answer: {detail}", "is it running? see `switchboard status`"
    )


def _address(server: MySqlServer) -> str:
    return f"MySQL server {server.name!r} at {server.host}:{server.port}"


@contextmanager
def cursor(server: MySqlServer, database: str | None = None) -> Iterator[Cursor]:
    """Opens a connection and yields a cursor.

    Raises TransientError if the server is or becomes unavailable.
    """
    connection = connect(server, database)
    try:
        with connection.cursor() as opened:
            yield opened
    except (pymysql.err.OperationalError, pymysql.err.InterfaceError) as error:
        if (classified := classify(server, error)) is not None:
            raise classified from error
        raise
    finally:
        connection.close()


def rows(server: MySqlServer, query: str, arguments: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
    """Runs one query and returns its rows.

    Raises TransientError (unavailable) or MisconfiguredError (refused).
    """
    with cursor(server) as opened:
        opened.execute(query, arguments)
        return list(opened.fetchall())


def databases(server: MySqlServer) -> list[str]:
    """Returns the user databases of the server, sorted by name."""
    system = {"information_schema", "mysql", "performance_schema", "sys"}
    return sorted(str(name) for (name,) in rows(server, "SHOW DATABASES") if name not in system)
