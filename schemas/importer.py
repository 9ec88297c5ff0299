"""From a live MySQL schema to draft contracts: types are exact, privacy classes are guessed from names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from core.errors import ContractError
from schemas import privacy as p
from schemas import types as t
from schemas.names import avro_field, mysql_name, topic_part, unusable_name_reason
from schemas.table import (
    RESERVED,
    Column,
    Latest,
    Source,
    Table,
    unusable_key_reason,
    unusable_source_reason,
)

COLUMNS_QUERY = """
SELECT c.table_name, c.column_name, c.data_type, c.column_type, c.is_nullable = 'YES',
    c.numeric_precision, c.numeric_scale, c.datetime_precision, c.character_octet_length
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = %s AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position
"""
KEYS_QUERY = """
SELECT table_name, index_name, column_name, nullable = 'YES' FROM information_schema.statistics
WHERE table_schema = %s AND non_unique = 0 AND column_name IS NOT NULL
ORDER BY table_name, index_name, seq_in_index
"""
VIEWS_QUERY = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'BASE TABLE' "
    "ORDER BY 1"
)

PRIVACY: tuple[tuple[str, p.Privacy], ...] = (
    (r"pass(word|wd)|secret|token|card|iban|ssn|tax_?id|signature", p.REDACT),
    (r"e_?mail", p.Pseudonym("email")),
    (r"phone|mobile|fax|msisdn|(^|_)ani$|caller", p.Pseudonym("phone")),
    (r"(^|_)ip(_|$)|ip_?addr", p.Pseudonym("ip")),
    (r"birth|(^|_)dob$", p.Generalise("year")),
    (r"(^|_)zip|post_?(al)?_?code", p.Generalise("zip3")),
    (
        r"address|street|(^|_)(first|last|full|middle|sur|nick|display|user|customer|contact|agent)_?name|^name$|surname",
        p.REDACT,
    ),
    (r"note|comment|text|message|description|subject|body|remark|feedback|transcript|summary", p.FREE_TEXT),
)
"""Pattern of a column's name -> the guessed class; the first match counts."""

LONGEST_IN_KEY = 65_535
TOO_LONG = "may hold values of more than 64 KB, too long for a record's key; add a primary key"


@dataclass(frozen=True)
class Described:
    """A column in information_schema; `declaration` is its `column_type`."""

    name: str
    kind: str
    declaration: str
    nullable: bool
    precision: int
    scale: int
    fraction: int
    octets: int


@dataclass(frozen=True)
class Imported:
    """The result for one table: no contract if it was refused for `reasons`; the classes of `guessed` columns
    need a review."""

    name: str
    contract: Table | None
    guessed: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """`keyless` imports tables without a key as keyed by all columns.

    Decisions in `existing` contracts are kept.
    """

    source: Source
    keyless: bool = False
    existing: tuple[Table, ...] = ()

    def before(self, table: str) -> Table | None:
        return next((found for found in self.existing if found.name == table), None)


def import_tables(
    columns: Iterable[tuple[Any, ...]], keys: Iterable[tuple[Any, ...]], plan: Plan
) -> list[Imported]:
    """Returns a result for each table, from the rows of `COLUMNS_QUERY` and `KEYS_QUERY`."""
    tables: dict[str, list[Described]] = {}
    for table, name, kind, declaration, nullable, *numbers in columns:
        precision, scale, fraction, octets = (int(number or 0) for number in numbers)
        described = Described(
            name, kind.lower(), declaration.lower(), bool(nullable), precision, scale, fraction, octets
        )
        tables.setdefault(table, []).append(described)
    unique = _unique(keys)
    topics: dict[str, str] = {}
    return [
        _import(table, described, unique.get(table, {}), plan, topics) for table, described in tables.items()
    ]


def _unique(keys: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Returns table -> index -> columns, of the unique indexes without a nullable column."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    nullable = set()
    for table, index, column, may_be_null in keys:
        indexes = found.setdefault(table, {})
        indexes[index] = (*indexes.get(index, ()), column)
        if may_be_null:
            nullable.add((table, index))
    return {
        table: {name: names for name, names in indexes.items() if (table, name) not in nullable}
        for table, indexes in found.items()
    }


def _import(
    table: str,
    described: list[Described],
    unique: dict[str, tuple[str, ...]],
    plan: Plan,
    topics: dict[str, str],
) -> Imported:
    typed = [(column, type_of(column)) for column in described]
    usable = [(column, kind) for column, kind in typed if kind is not None]
    unsupported = tuple(f"{column.name} ({column.declaration})" for column, kind in typed if kind is None)
    key = unique.get("PRIMARY") or next((unique[name] for name in sorted(unique)), ())
    all_columns = not key and plan.keyless
    key = tuple(column.name for column, _ in usable) if all_columns else key
    if reasons := tuple(_reasons(table, plan.source, usable, key, topics, all_columns=all_columns)):
        return Imported(table, None, unsupported=unsupported, reasons=reasons)
    before = plan.before(table)
    known = {column.name: column for column in before.columns} if before is not None else {}
    guessed = tuple(column.name for column, _ in usable if column.name not in known)
    numbers = itertools.count(max((column.id for column in known.values()), default=0) + 1)
    columns = tuple(
        _column(
            column, kind, known.get(column.name), numbers, immutable=column.name in key and not all_columns
        )
        for column, kind in usable
    )
    values = {"source": plan.source, "key": key, "columns": columns, "keyed_by_all_columns": all_columns}
    try:
        if before is None:
            contract = Table(name=table, history=Latest(), **values)  # type: ignore[arg-type]
        else:
            contract = replace(before, **values)  # type: ignore[arg-type]
    except ContractError as error:
        return Imported(table, None, unsupported=unsupported, reasons=(error.what,))
    return Imported(table, contract, guessed, unsupported)


def _column(
    described: Described, kind: t.Type, known: Column | None, numbers: Iterator[int], *, immutable: bool
) -> Column:
    """Returns the column; a known one keeps its id, its privacy class, `immutable` and `zero`.

    A date is nullable, even if the source's is not: NULL is what a zero date becomes.
    """
    fixed = not described.nullable and (immutable or (known is not None and known.immutable))
    zero_becomes_null = isinstance(kind, t.Dated) and not fixed and (known is None or known.nullable)
    privacy = known.privacy if known is not None else guessed_privacy(described.name, kind)
    return Column(
        known.id if known is not None else next(numbers),
        described.name,
        kind,
        privacy,
        described.nullable or zero_becomes_null,
        fixed,
        known.zero if known is not None else None,
    )


def _reasons(
    table: str,
    source: Source,
    usable: list[tuple[Described, t.Type]],
    key: tuple[str, ...],
    topics: dict[str, str],
    *,
    all_columns: bool,
) -> Iterator[str]:
    if (other := topics.setdefault(topic_part(table), table)) != table:
        yield f"its topic's name would be that of table {other!r}"
    for why in (unusable_source_reason(source), unusable_name_reason(table)):
        if why is not None:
            yield why
    names = {column.name: kind for column, kind in usable}
    if not key:
        yield (
            "no primary key and no unique key without nulls: add one, as by "
            f"`ALTER TABLE {mysql_name(table)} ADD COLUMN row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT "
            "INVISIBLE PRIMARY KEY`, or import it with --keyless all-columns"
        )
    for name in key:
        if name not in names:
            yield f"key column {name!r} has a type that contracts do not support"
        elif (why := unusable_key_reason(names[name])) is not None:
            yield f"key column {name!r} {why}" + ("; add a primary key" if all_columns else "")
    if all_columns:
        yield from (
            f"column {column.name!r} {TOO_LONG}" for column, _ in usable if column.octets > LONGEST_IN_KEY
        )
    fields: dict[str, str] = {}
    for name in names:
        if name in RESERVED:
            yield f"column {name!r} has a name that landing reserves"
        if (other := fields.setdefault(avro_field(name), name)) != name:
            yield f"columns {other!r} and {name!r} are one field in Avro"


def type_of(column: Described) -> t.Type | None:
    """Returns the contract type; None for unsupported types (geometry, vectors)."""
    unsigned = "unsigned" in column.declaration
    bits = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
    plain: dict[str, t.Type] = {
        "float": t.Float(32),
        "double": t.Float(64),
        "date": t.Date(),
        "year": t.Year(),
        "json": t.Json(),
    }
    plain |= {"enum": t.Enum(), "set": t.Set()}
    plain |= dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), t.Text())
    plain |= dict.fromkeys(("varbinary", "tinyblob", "blob", "mediumblob", "longblob"), t.Binary())
    match column.kind:
        case "tinyint" if column.declaration == "tinyint(1)":
            return t.Bool()
        case kind if kind in bits:
            return t.UInt(bits[kind]) if unsigned else t.Int(bits[kind])
        case "decimal":
            return t.Decimal(column.precision, column.scale)
        case "bit":
            return t.Bit(column.precision)
        case "binary":
            return t.Binary(column.octets)
        case "time":
            return t.Time(column.fraction)
        case "datetime":
            return t.DateTime(column.fraction)
        case "timestamp":
            return t.Timestamp(column.fraction)
        case kind:
            return plain.get(kind)


def guessed_privacy(name: str, kind: t.Type) -> p.Privacy:
    """Returns the guess by the column's name, else by its type."""
    for pattern, guess in PRIVACY:
        if re.search(pattern, name, re.IGNORECASE):
            return guess
    match kind:
        case t.Text() | t.Json() | t.Binary():
            return p.UNCLASSIFIED
        case _:
            return p.PUBLIC
