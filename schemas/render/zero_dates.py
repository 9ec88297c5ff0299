"""Dates that MySQL stores and the calendar lacks: what a contract makes of them, on each side.

A zero date is 0000-00-00 or another date whose year, month or day is zero; YEAR has 0000. Records have such
dates, and others that do not exist, as ``year * 512 + month * 32 + day`` days before -0001-12-31, and YEAR
0000 as -1 (connectors/plugin/NonexistentDates.java).
"""

from __future__ import annotations

import datetime as dt

from core.clock import EPOCH
from schemas import types as t
from schemas.names import ch_string, mysql_name
from schemas.render.avro import Field
from schemas.table import Column

ZERO_DAY = -719_529
"""-0001-12-31 in days since 1970."""
UNITS_PER_DAY = {
    "io.debezium.time.Date": 1,
    "io.debezium.time.Timestamp": 86_400_000,
    "io.debezium.time.MicroTimestamp": 86_400_000_000,
}
TEXT = "io.debezium.time.ZonedTimestamp"


def is_replaced(column: Column) -> bool:
    """Whether a zero date becomes NULL or another value; otherwise its row is refused."""
    return isinstance(column.type, t.Year) or (
        isinstance(column.type, t.Dated) and (column.nullable or column.zero is not None)
    )


def describe(column: Column) -> str:
    """Returns what a zero date becomes, for people."""
    if not is_replaced(column):
        return "a dead letter"
    return "NULL" if (value := zero_value(column)) is None else value


def zero_value(column: Column) -> str | None:
    """Returns what a zero date becomes, as the contract writes it; None for NULL."""
    required_year = isinstance(column.type, t.Year) and not column.nullable
    return "0000" if column.zero is None and required_year else column.zero


def canonical_zero(column: Column) -> int | None:
    """Returns what a zero date becomes: a year, days or microseconds since 1970; None for NULL."""
    value = zero_value(column)
    if value is None:
        return None
    match column.type:
        case t.Year():
            return int(value)
        case t.Date():
            return (dt.date.fromisoformat(value) - EPOCH.date()).days
        case _:
            return (dt.datetime.fromisoformat(value) - EPOCH) // dt.timedelta(microseconds=1)


def mysql_is_zero(name: str) -> str:
    """Returns a condition on a DATE, DATETIME or TIMESTAMP that is never NULL."""
    quoted = mysql_name(name)
    return f"COALESCE({quoted} < '0001-01-01' OR MONTH({quoted}) = 0 OR DAYOFMONTH({quoted}) = 0, FALSE)"


def can_be_nonexistent(writer: Field) -> bool:
    """Whether a field of a record can have such a date."""
    return writer.logical in UNITS_PER_DAY or writer.logical == TEXT


def is_nonexistent(writer: Field, raw: str) -> str:
    """Returns a ClickHouse condition on the field's value."""
    if writer.logical == TEXT:
        return f"startsWith({raw}, '-')"
    return f"{raw} < {(ZERO_DAY + 1) * UNITS_PER_DAY[writer.logical]}"


def is_zero(writer: Field, raw: str, *, exactly: bool) -> str:
    """Returns a ClickHouse condition on a value that is nonexistent; `exactly` is for 0000-00-00 only."""
    if writer.logical == TEXT:
        return "1"
    units = UNITS_PER_DAY[writer.logical]
    code = f"(intDiv({units - 1} - {raw}, {units}) - {-ZERO_DAY})"
    return f"{code} = 0" if exactly else f"({code} < 512 OR {code} % 512 < 32 OR {code} % 32 = 0)"


def existent(writer: Field, raw: str) -> str:
    """Returns a ClickHouse expression that can be converted: functions are evaluated on all rows."""
    return f"if({is_nonexistent(writer, raw)}, '1970-01-01', {raw})" if writer.logical == TEXT else raw


def replacement(column: Column, target: str) -> str:
    """Returns the ClickHouse value, of the type `target`, of a zero date; a refused one's is any."""
    zero = canonical_zero(column)
    if zero is None:
        default = f"defaultValueOfTypeName({ch_string(target)})"
        return f"CAST(NULL, {ch_string(target)})" if column.nullable else default
    value = str(zero)
    if isinstance(column.type, t.DateTime | t.Timestamp):
        value = f"fromUnixTimestamp64Micro({zero}, 'UTC')"
    return f"CAST({value}, {ch_string(target)})"


def refusal(column: Column) -> str:
    if is_replaced(column):
        return f"column {column.name}: the date does not exist"
    return f"column {column.name}: a zero date, and its contract does not say what it becomes"
