"""From a live MySQL schema to contract files, as a person would have begun them: exact in types, guessing in privacy."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import ContractError
from schemas import types as t
from schemas.names import avro_field, topic_part
from schemas.table import RESERVED

COLUMNS_QUERY = """
SELECT c.table_name, c.column_name, c.data_type, c.column_type, c.is_nullable = 'YES', c.numeric_precision, c.numeric_scale,
    c.datetime_precision, c.character_octet_length
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = %s AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position
"""
KEYS_QUERY = """
SELECT table_name, index_name, column_name, nullable = 'YES' FROM information_schema.statistics
WHERE table_schema = %s AND non_unique = 0 AND column_name IS NOT NULL ORDER BY table_name, index_name, seq_in_index
"""
VIEWS_QUERY = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type <> 'BASE TABLE' ORDER BY 1"

PRIVACY = (
    (r"pass(word|wd)|secret|token|card|iban|ssn|tax_?id|signature", "p.REDACT"),
    (r"e_?mail", 'p.Pseudonym("email")'),
    (r"phone|mobile|fax|msisdn|(^|_)ani$|caller", 'p.Pseudonym("phone")'),
    (r"(^|_)ip(_|$)|ip_?addr", 'p.Pseudonym("ip")'),
    (r"birth|(^|_)dob$", 'p.Generalise("year")'),
    (r"(^|_)zip|post_?(al)?_?code", 'p.Generalise("zip3")'),
    (r"address|street|(^|_)(first|last|full|middle|sur|nick|display|user|customer|contact|agent)_?name|^name$|surname", "p.REDACT"),
    (r"note|comment|text|message|description|subject|body|remark|feedback|transcript|summary", "p.FREE_TEXT"),
)
"""Pattern of a column's name -> the guess. The first that is found counts."""


@dataclass(frozen=True)
class Described:
    """A column as information_schema tells it."""

    name: str
    kind: str
    spelled: str
    nullable: bool
    precision: int
    scale: int
    fraction: int
    octets: int


@dataclass(frozen=True)
class Imported:
    """What became of a table. `text` is the contract file, empty if the table was refused for the `reasons`."""

    table: str
    key: tuple[str, ...]
    text: str
    columns: int
    to_review: int
    odd: tuple[str, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """`source` is the contract's source as Python spells it; `keyless` imports tables without a key as keyed by all columns."""

    source: str
    keyless: bool = False


def import_tables(columns: Iterable[tuple[Any, ...]], keys: Iterable[tuple[Any, ...]], plan: Plan) -> list[Imported]:
    """From the rows of `COLUMNS_QUERY` and `KEYS_QUERY` to a contract for each table that can have one."""
    tables: dict[str, list[Described]] = {}
    for table, name, kind, spelled, nullable, *numbers in columns:
        precision, scale, fraction, octets = (int(number or 0) for number in numbers)
        tables.setdefault(table, []).append(
            Described(name, kind.lower(), spelled.lower(), bool(nullable), precision, scale, fraction, octets)
        )
    unique = _unique(keys)
    topics: dict[str, str] = {}
    return [_import(table, described, unique.get(table, {}), plan, topics) for table, described in tables.items()]


def _unique(keys: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Table -> index -> columns, of the unique indexes without a nullable column."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    nullable = set()
    for table, index, column, may_be_null in keys:
        indexes = found.setdefault(table, {})
        indexes[index] = (*indexes.get(index, ()), column)
        if may_be_null:
            nullable.add((table, index))
    return {table: {name: names for name, names in indexes.items() if (table, name) not in nullable} for table, indexes in found.items()}


def _import(table: str, described: list[Described], unique: dict[str, tuple[str, ...]], plan: Plan, topics: dict[str, str]) -> Imported:
    typed = [(column, type_of(column)) for column in described]
    usable = [(column, kind) for column, kind in typed if kind is not None]
    odd = tuple(f"{column.name} ({column.spelled})" for column, kind in typed if kind is None)
    key = unique.get("PRIMARY") or next((unique[name] for name in sorted(unique)), ())
    all_columns = not key and plan.keyless
    key = tuple(column.name for column, _ in usable) if all_columns else key
    reasons = tuple(_reasons(table, usable, key, topics, all_columns=all_columns))
    if reasons:
        return Imported(table, key, "", len(usable), 0, odd, reasons)
    lines = [_line(number, column, kind, key, all_columns) for number, (column, kind) in enumerate(usable, 1)]
    text = _file(table, plan.source, key, lines, odd, all_columns=all_columns)
    return Imported(table, key, text, len(usable), len(lines), odd)


def _reasons(
    table: str, usable: list[tuple[Described, t.Type]], key: tuple[str, ...], topics: dict[str, str], *, all_columns: bool
) -> Iterator[str]:
    if (other := topics.setdefault(topic_part(table), table)) != table:
        yield f"its topic's name would be that of table {other!r}"
    names = {column.name: kind for column, kind in usable}
    if not key:
        yield "no primary key and no unique key without nulls: add one, or import it with --keyless all-columns"
    for name in key:
        if name not in names:
            yield f"key column {name!r} is of a type that no contract has"
        elif isinstance(names[name], t.Float) and not all_columns:
            yield f"key column {name!r} is a float"
    fields: dict[str, str] = {}
    for name in names:
        if name in RESERVED:
            yield f"column {name!r} has a name that is ours"
        if (other := fields.setdefault(avro_field(name), name)) != name:
            yield f"columns {other!r} and {name!r} are one field in Avro"


def type_of(column: Described) -> t.Type | None:
    """The contract's type, or None where there is none (geometry, vectors)."""
    unsigned = "unsigned" in column.spelled
    bits = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
    plain: dict[str, t.Type] = {"float": t.Float(32), "double": t.Float(64), "date": t.Date(), "year": t.Year(), "json": t.Json()}
    plain |= {"enum": t.Enum(), "set": t.Set()}
    plain |= dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), t.Text())
    plain |= dict.fromkeys(("varbinary", "tinyblob", "blob", "mediumblob", "longblob"), t.Binary())
    match column.kind:
        case "tinyint" if column.spelled == "tinyint(1)":
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


def guessed_privacy(name: str, kind: t.Type) -> str:
    """The privacy class as Python spells it: by the name, else by what the type can hold."""
    for pattern, guess in PRIVACY:
        if re.search(pattern, name, re.IGNORECASE):
            return guess
    match kind:
        case t.Text() | t.Json() | t.Binary():
            return "p.UNCLASSIFIED"
        case _:
            return "p.PUBLIC"


def _line(number: int, column: Described, kind: t.Type, key: tuple[str, ...], all_columns: bool) -> str:
    word = "optional" if column.nullable else "immutable" if column.name in key and not all_columns else "required"
    return f"        {word}({number}, {quoted(column.name)}, t.{_spelled(kind)}, {guessed_privacy(column.name, kind)}),  # review"


def _spelled(kind: t.Type) -> str:
    """As an author writes it: the arguments that matter, without their names."""
    values = ", ".join(str(value) for value in vars(kind).values() if value is not None)
    return f"{type(kind).__name__}({values})"


def quoted(text: str) -> str:
    """A Python string literal in double quotes; whatever stands in the text, nothing of it is code."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _file(table: str, source: str, key: tuple[str, ...], lines: list[str], odd: tuple[str, ...], *, all_columns: bool) -> str:
    kind = source.partition("(")[0]
    words = sorted({line.strip().partition("(")[0] for line in lines})
    left_out = [f"        # left out, as no contract type holds it: {quoted(name)}" for name in odd]
    spelled_key = ", ".join(map(quoted, key)) + ("," if len(key) == 1 else "")
    return "\n".join(
        [
            "from schemas import privacy as p",
            "from schemas import types as t",
            f"from schemas.table import {', '.join(sorted(['Latest', kind, 'Table']))}, {', '.join(words)}",
            "",
            f"{identifier(table)} = Table(",
            f"    name={quoted(table)},",
            f"    source={source},",
            f"    key=({spelled_key}),",
            "    history=Latest(),",
            "    columns=(",
            *lines,
            *left_out,
            "    ),",
            *(["    keyed_by_all_columns=True,"] if all_columns else []),
            ")",
            "",
        ]
    )


def identifier(table: str) -> str:
    """A Python name, and a file's, for a table of any name."""
    name = re.sub(r"\W+", "_", table, flags=re.ASCII).strip("_").lower() or "table"
    return f"table_{name}" if name[0].isdigit() or keyword.iskeyword(name) or name in ("p", "t") else name


def file_names(tables: Iterable[str]) -> dict[str, str]:
    """Table -> the name of its file, each only once."""
    taken: set[str] = set()
    names = {}
    for table in tables:
        name, number = identifier(table), 1
        while name in taken:
            number += 1
            name = f"{identifier(table)}_{number}"
        taken.add(name)
        names[table] = f"{name}.py"
    return names


def shards(pattern: str) -> str:
    return f"Shards({quoted(pattern)})"


def metadata(database: str) -> str:
    if not database:
        raise ContractError("no database is named", "name one")
    return f"Metadata({quoted(database)})"
