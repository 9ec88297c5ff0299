"""A connector's position in the binlog, and how long the binlog retains what is beyond it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pymysql

from core.clients import mysql
from core.settings import MySqlServer


@dataclass(frozen=True)
class StoredPosition:
    """The position that Connect stored: the binlog file, and the commit time (seconds since 1970) of the last
    event."""

    file: str
    seconds: int


def stored(offsets: list[dict[str, Any]]) -> StoredPosition | None:
    """The stored position; None if the connector has not stored one yet. `offsets` are Connect's."""
    found = [item["offset"] for item in offsets if item.get("offset")]
    return StoredPosition(str(found[0]["file"]), int(found[0].get("ts_sec") or 0)) if found else None


@dataclass(frozen=True)
class BinlogEnd:
    """The end of the binlog at one moment; `gtids` are the transactions before it."""

    gtids: str
    file: str
    offset: int


def end(server: MySqlServer) -> BinlogEnd:
    """The end of the binlog: everything committed so far is before it. Blocks for the server."""
    try:
        found = mysql.rows(server, "SHOW BINARY LOG STATUS")
    except pymysql.err.ProgrammingError:
        found = mysql.rows(server, "SHOW MASTER STATUS")  # MySQL before 8.2
    file, offset, *_, gtids = found[0]
    return BinlogEnd(str(gtids).replace("\n", ""), str(file), int(offset))


def has_read(server: MySqlServer, offsets: list[dict[str, Any]], wanted: BinlogEnd) -> bool:
    """Whether the stored position has reached that end. Blocks for the server.

    A position in a binlog that the server no longer has reaches none. Debezium omits the GTID of a trailing
    DDL statement, and stores the file offset before a transaction with the GTID after it: either may show
    that the end was reached.
    """
    if loss(server, offsets) is not None:
        return False
    for offset in (item["offset"] for item in offsets if item.get("offset")):
        if (_number(str(offset["file"])), int(offset["pos"])) >= (_number(wanted.file), wanted.offset):
            return True
        if mysql.rows(server, "SELECT GTID_SUBSET(%s, %s)", (wanted.gtids, str(offset.get("gtids") or "")))[
            0
        ][0]:
            return True
    return False


def unread_since(server: MySqlServer, offsets: list[dict[str, Any]]) -> float | None:
    """Seconds since the commit of the last event read if MySQL has committed more since, else 0. Blocks for
    the server.

    None if nothing has been read yet. Only a heartbeat shows that transactions without a captured table were
    read.
    """
    position = stored(offsets)
    if position is None or not position.seconds:
        return None
    if has_read(server, offsets, end(server)):
        return 0.0
    return max(1.0, float(mysql.rows(server, "SELECT UNIX_TIMESTAMP()")[0][0]) - position.seconds)


def loss(server: MySqlServer, offsets: list[dict[str, Any]]) -> str | None:
    """Why the server no longer has what follows the stored position; None if it has. Blocks for the server.

    A server that lacks transactions that were read has another history since: its binlog was reset, or it is
    another server. Its next transactions may have the numbers of those that were read, and are skipped then.
    """
    position = stored(offsets)
    if position is None:
        return None
    gtids = [
        read for item in offsets if item.get("offset") and (read := str(item["offset"].get("gtids") or ""))
    ]
    if not all(_value(server, "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", read) for read in gtids):
        return (
            f"MySQL does not know the transactions that were read, up to {position.file}, as after RESET "
            "BINARY LOGS AND GTIDS or on another server: changes are lost"
        )
    if position.file in _files(server) or any(
        _value(server, "SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, %s)", read) for read in gtids
    ):
        return None
    return f"the binlog was purged beyond {position.file}, the position that was read: changes are lost"


def _value(server: MySqlServer, query: str, *arguments: str) -> Any:
    return mysql.rows(server, query, arguments)[0][0]


def _files(server: MySqlServer) -> list[str]:
    """Oldest first."""
    return [str(row[0]) for row in mysql.rows(server, "SHOW BINARY LOGS")]


def _number(file: str) -> int:
    return int(file.rpartition(".")[2])


def hours_left(server: MySqlServer, position: StoredPosition) -> float:
    """Hours until the binlog is purged up to the position: 0 if it is, infinite if it never will be. Blocks
    for the server.

    MySQL purges a file `binlog_expire_logs_seconds` after its last change, and never the current file. So
    this is a lower bound, unless an operator purges the binlog.
    """
    kept, now = mysql.rows(server, "SELECT @@binlog_expire_logs_seconds, UNIX_TIMESTAMP()")[0]
    return estimate(_files(server), position, int(kept), int(now))


def estimate(files: list[str], position: StoredPosition, kept: int, now: int) -> float:
    """Hours left.

    `files` are the server's, oldest first; `kept` is the retention in seconds, 0 for ever; `now` since 1970.
    """
    if position.file not in files:
        return 0.0
    if kept == 0:
        return math.inf
    age = 0 if position.file == files[-1] else max(0, now - position.seconds)
    return max(0, kept - age) / 3600
