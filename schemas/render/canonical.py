"""The canonical text of a value, as expressions for MySQL and ClickHouse that return the same bytes.

Integers, decimals of the column's scale, dates as days and times as microseconds since the epoch, text as
UTF-8, bytes unchanged. Equal floats and JSON may have different texts: a row's text has a float's bits, and
JSON is compared again, parsed. A FLOAT is compared by its first six digits: a snapshot cannot read more
(decision 5). A zero date is what the contract makes of it; one that it refuses keeps MySQL's text, which
equals no date in ClickHouse.
"""

from __future__ import annotations

import datetime as dt
from typing import assert_never

from core.clock import EPOCH
from core.errors import ContractError
from schemas import types as t
from schemas.names import ch_name, ch_string, mysql_name
from schemas.render.zero_dates import canonical_zero, is_replaced, mysql_is_zero
from schemas.table import Column

UNIX_DAY = 719528
"""MySQL's ``TO_DAYS('1970-01-01')``."""


def mysql_text(column: Column) -> str:
    """Returns a MySQL expression: the value's canonical text as bytes, NULL for NULL.

    Requires a session in UTC.
    """
    plain = _mysql_plain(column.type, mysql_name(column.name))
    if is_replaced(column):
        zero = canonical_zero(column)
        plain = f"IF({_mysql_is_zero(column)}, {'NULL' if zero is None else zero}, {plain})"
    return f"CAST({plain} AS BINARY)"


def _mysql_is_zero(column: Column) -> str:
    if isinstance(column.type, t.Year):
        return f"COALESCE({mysql_name(column.name)} = 0, FALSE)"
    return mysql_is_zero(column.name)


def _mysql_plain(kind: t.Type, name: str) -> str:
    match kind:
        case t.Int() | t.Bool():
            return f"CAST({name} AS SIGNED)"
        case t.UInt() | t.Year() | t.Bit():
            return f"CAST({name} AS UNSIGNED)"
        case t.Decimal(precision, scale):
            return f"CAST({name} AS DECIMAL({precision}, {scale}))"
        case t.Float(bits):
            return f"CAST({_mysql_number(bits, name)} AS CHAR)"
        case t.Date():
            return f"IFNULL(CAST(TO_DAYS({name}) - {UNIX_DAY} AS CHAR), CAST({name} AS CHAR))"
        case t.DateTime() | t.Timestamp():
            micros = f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {name})"
            return f"IFNULL(CAST({micros} AS CHAR), CAST({name} AS CHAR))"
        case t.Time():
            sign = f"IF({name} < CAST('00:00:00' AS TIME), -1, 1)"
            return f"TIME_TO_SEC({name}) * 1000000 + {sign} * MICROSECOND({name})"
        case t.Text() | t.Enum() | t.Set() | t.Json():
            return f"CONVERT({name} USING utf8mb4)"
        case t.Binary():
            return name
        case _:
            assert_never(kind)


def mysql_canonical(column: Column) -> str:
    """Returns an expression for a row's text: equal values have equal bytes, JSON excepted.

    MySQL returns a DOUBLE's bits only as the coordinate of a point; + 0 removes the sign of zero.
    """
    if not isinstance(column.type, t.Float):
        return mysql_text(column)
    return (
        f"HEX(SUBSTRING(ST_AsBinary(POINT({_mysql_number(column.type.bits, mysql_name(column.name))} + 0e0, "
        "0)), 6, 8))"
    )


def _mysql_number(bits: int, name: str) -> str:
    """Returns the value as a DOUBLE."""
    return f"CAST(CAST(CAST({name} AS FLOAT) AS CHAR) AS DOUBLE)" if bits == 32 else f"CAST({name} AS DOUBLE)"


def clickhouse_canonical(column: Column) -> str:
    if not isinstance(column.type, t.Float):
        return clickhouse_text(column)
    return f"hex(reinterpretAsFixedString({_clickhouse_number(column.type.bits, ch_name(column.name))} + 0.))"


def _clickhouse_number(bits: int, name: str) -> str:
    """Returns the value as a Float64."""
    return f"toFloat64(printf('%.5e', toFloat64({name})))" if bits == 32 else f"toFloat64({name})"


def clickhouse_text(column: Column) -> str:
    """Returns a ClickHouse expression: the value's canonical text, NULL for NULL.

    A required column may be NULL too: one that landing added, until its snapshot has landed.
    """
    name = ch_name(column.name)
    match column.type:
        case t.Int() | t.Bool() | t.UInt() | t.Year() | t.Bit() | t.Time():
            return f"toString({name})"
        case t.Decimal(_, scale):
            return f"toDecimalString({name}, {scale})"
        case t.Float(bits):
            return f"toString({_clickhouse_number(bits, name)})"
        case t.Date():
            return f"toString(toInt32({name}))"
        case t.DateTime() | t.Timestamp():
            micros = ch_string("Nullable(DateTime64(6, 'UTC'))")
            return f"toString(toUnixTimestamp64Micro(CAST({name}, {micros})))"
        case t.Json():
            return _spaced_as_mysql(name)
        case t.Text() | t.Enum() | t.Set() | t.Binary():
            return f"CAST({name}, 'Nullable(String)')"
        case _:
            assert_never(column.type)


JSON_STRING = r'"(?:[^"\\]|\\.)*"'


def _spaced_as_mysql(name: str) -> str:
    """Returns JSON text with one space after each comma and colon outside strings, and no other, as MySQL
    prints it."""
    outside = ch_string(rf"(?s)({JSON_STRING})|\s+")
    until = ch_string(rf'(?s)((?:{JSON_STRING}|[^",:])*)(,|:|$)')
    one, two = ch_string(r"\1"), ch_string(r"\1\2 ")
    return f"trimRight(replaceRegexpAll(replaceRegexpAll({name}, {outside}, {one}), {until}, {two}))"


def mysql_literal(column: Column, text: bytes) -> str:
    """Returns the MySQL literal of a canonical text; a comparison of the column with it can use an index.

    Raises ContractError for floats and JSON, which have no literal that equals every stored value.
    """
    shown = text.decode(errors="replace")
    if isinstance(column.type, t.Date | t.DateTime | t.Timestamp) and "-" in shown[1:]:
        return f"'{shown}'"
    match column.type:
        case t.Int() | t.Bool() | t.UInt() | t.Year() | t.Bit() | t.Decimal():
            return shown
        case t.Date():
            return f"FROM_DAYS({int(shown) + UNIX_DAY})"
        case t.DateTime():
            return f"CAST('{_moment(int(shown))}' AS DATETIME(6))"
        case t.Timestamp():
            return f"TIMESTAMP'{_moment(int(shown))}+00:00'"
        case t.Time():
            return f"CAST('{_duration(int(shown))}' AS TIME(6))"
        case t.Text() | t.Enum() | t.Set():
            return f"_utf8mb4 x'{text.hex()}'"
        case t.Binary():
            return f"x'{text.hex()}'"
        case t.Float() | t.Json():
            raise ContractError(f"column {column.name!r}: a {type(column.type).__name__} has no literal")
        case _:
            assert_never(column.type)


def mysql_is(column: Column, text: bytes | None) -> str:
    """Returns the condition that the column has this canonical value; it can use an index if the type
    allows."""
    name = mysql_name(column.name)
    if is_replaced(column) and text == _zero_text(column):
        return f"{mysql_text(column)} <=> {'NULL' if text is None else _binary(text)}"
    if text is None:
        return f"{name} IS NULL"
    if isinstance(column.type, t.Float):
        return f"{_mysql_number(column.type.bits, name)} = CAST('{text.decode()}' AS DOUBLE)"
    exact = f"{mysql_text(column)} = {_binary(text)}"
    if isinstance(column.type, t.Json):
        return exact
    found = f"{name} = {mysql_literal(column, text)}"
    return f"{found} AND {exact}" if isinstance(column.type, t.Text) else found


def _zero_text(column: Column) -> bytes | None:
    zero = canonical_zero(column)
    return None if zero is None else str(zero).encode()


def _binary(text: bytes) -> str:
    return f"x'{text.hex()}'"


def _moment(micros: int) -> str:
    return (EPOCH + dt.timedelta(microseconds=micros)).isoformat(" ", "microseconds")


def _duration(micros: int) -> str:
    seconds, fraction = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}"
