"""Connections to MySQL: UTC sessions, utf8mb4, and errors that name the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from core.errors import MisconfiguredError, TransientError
from core.settings import MySqlServer

ACCESS_DENIED = (1044, 1045, 1142, 1698)


def connect(
    server: MySqlServer, database: str | None = None, *, autocommit: bool = True, read_timeout: float = 600
) -> pymysql.Connection[Cursor]:
    """Opens one connection. Blocks up to 10 s. Raises TransientError (away) or MisconfiguredError (refused)."""
    try:
        return pymysql.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password.get_secret_value(),
            database=database,
            autocommit=autocommit,
            charset="utf8mb4",
            connect_timeout=10,
            read_timeout=read_timeout,
            init_command="SET time_zone = '+00:00', group_concat_max_len = 1048576",
        )
    except pymysql.err.OperationalError as error:
        raise _named(server, error) from error


def _named(server: MySqlServer, error: pymysql.err.OperationalError) -> TransientError | MisconfiguredError:
    place = f"MySQL server {server.name!r} at {server.host}:{server.port}"
    if error.args and error.args[0] in ACCESS_DENIED:
        return MisconfiguredError(f"{place} refused user {server.user!r}", "check the user and password in the settings")
    detail = error.args[1] if len(error.args) > 1 else error
    return TransientError(f"{place} does not answer: {detail}", "is it running? `switchboard status` tells")


@contextmanager
def cursor(server: MySqlServer, database: str | None = None) -> Iterator[Cursor]:
    """A cursor of a connection of its own, closed at the end."""
    connection = connect(server, database)
    try:
        with connection.cursor() as opened:
            yield opened
    finally:
        connection.close()


def rows(server: MySqlServer, query: str, arguments: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
    """Runs one query and returns all of its rows."""
    with cursor(server) as opened:
        opened.execute(query, arguments)
        return list(opened.fetchall())


def databases(server: MySqlServer) -> list[str]:
    """The user databases of the server, in the order of their names."""
    system = {"information_schema", "mysql", "performance_schema", "sys"}
    return sorted(str(name) for (name,) in rows(server, "SHOW DATABASES") if name not in system)
