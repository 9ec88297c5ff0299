"""How long the binlog still holds what a connector has yet to read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pymysql

from core.clients import mysql
from core.settings import MySqlServer


@dataclass(frozen=True)
class Position:
    """What Kafka holds for a connector: the binlog file, and when (seconds since 1970) its last event was committed."""

    file: str
    seconds: int


def stored(offsets: list[dict[str, Any]]) -> Position | None:
    """None for a connector that has not stored a place yet."""
    found = [item["offset"] for item in offsets if item.get("offset")]
    return Position(str(found[0]["file"]), int(found[0].get("ts_sec") or 0)) if found else None


@dataclass(frozen=True)
class End:
    """The end of the binlog at one moment; `gtids` are the transactions before it."""

    gtids: str
    file: str
    place: int


def end(server: MySqlServer) -> End:
    """The end of what is committed by now. Blocks on the server."""
    try:
        found = mysql.rows(server, "SHOW BINARY LOG STATUS")
    except pymysql.err.ProgrammingError:
        found = mysql.rows(server, "SHOW MASTER STATUS")  # MySQL before 8.2
    file, place, *_, gtids = found[0]
    return End(str(gtids).replace("\n", ""), str(file), int(place))


def has_read(server: MySqlServer, offsets: list[dict[str, Any]], wanted: End) -> bool:
    """Whether the stored place is behind that end. Debezium leaves out the GTID of a DDL that nothing follows, and stores
    the place before a transaction with the GTID after it: each tells where the other does not."""
    for offset in (item["offset"] for item in offsets if item.get("offset")):
        if (_number(str(offset["file"])), int(offset["pos"])) >= (_number(wanted.file), wanted.place):
            return True
        if mysql.rows(server, "SELECT GTID_SUBSET(%s, %s)", (wanted.gtids, str(offset.get("gtids") or "")))[0][0]:
            return True
    return False


def unread_since(server: MySqlServer, offsets: list[dict[str, Any]]) -> float | None:
    """Seconds since the commit of what was read last, if MySQL has committed more since; 0 if it has not. Blocks on the server.

    None if nothing has been read yet. Only a heartbeat tells that transactions without a captured table are read.
    """
    position = stored(offsets)
    if position is None or not position.seconds:
        return None
    if has_read(server, offsets, end(server)):
        return 0.0
    return max(1.0, float(mysql.rows(server, "SELECT UNIX_TIMESTAMP()")[0][0]) - position.seconds)


def is_lost(server: MySqlServer, offsets: list[dict[str, Any]]) -> bool:
    """Whether the binlog is purged beyond the stored place, of transactions too that were not read. Blocks on the server."""
    position = stored(offsets)
    if position is None or position.file in _files(server):
        return False
    gtids = [str(item["offset"].get("gtids") or "") for item in offsets if item.get("offset")]
    return not any(mysql.rows(server, "SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, %s)", (read,))[0][0] for read in gtids if read)


def _files(server: MySqlServer) -> list[str]:
    """Oldest first."""
    return [str(row[0]) for row in mysql.rows(server, "SHOW BINARY LOGS")]


def _number(file: str) -> int:
    return int(file.rpartition(".")[2])


def hours_left(server: MySqlServer, position: Position) -> float:
    """Hours until the binlog is purged up to the position: 0 if it is, infinite if it never is. Blocks on the server.

    A file is purged so long after its last change, and no sooner than so long after an event that stands in it; the file
    that is written to now is never. So this is the least that it can be, unless somebody purges by hand.
    """
    kept, now = mysql.rows(server, "SELECT @@binlog_expire_logs_seconds, UNIX_TIMESTAMP()")[0]
    return estimate(_files(server), position, int(kept), int(now))


def estimate(files: list[str], position: Position, kept: int, now: int) -> float:
    """`files` are the server's, oldest first; `kept` is for how many seconds, 0 for ever; `now` in seconds since 1970."""
    if position.file not in files:
        return 0.0
    if kept == 0:
        return math.inf
    age = 0 if position.file == files[-1] else max(0, now - position.seconds)
    return max(0, kept - age) / 3600
