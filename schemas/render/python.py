"""Contract -> the Python file that declares it, in the style of a hand-written one."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable
from typing import Any, assert_never

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Column, Computed, Metadata, Shards, Source, Table


def contract_file(table: Table, review: Iterable[str] = (), left_out: Iterable[str] = ()) -> str:
    """Returns the file.

    Privacy classes of the columns in `review` are marked for review; `left_out` columns are comments.
    """
    guessed = frozenset(review)
    lines = [_column(column, guessed=column.name in guessed) for column in table.columns]
    key = ", ".join(map(quoted, table.key)) + ("," if len(table.key) == 1 else "")
    more = [
        *([f"    tenant={quoted(table.tenant)},"] if table.tenant is not None else []),
        *([f"    clickhouse={_clickhouse(table.clickhouse)},"] if table.clickhouse != ClickHouse() else []),
        *(
            [f"    unknown_column={quoted(table.unknown_column)},"]
            if table.unknown_column != "evolve"
            else []
        ),
        *(["    keyed_by_all_columns=True,"] if table.keyed_by_all_columns else []),
    ]
    return "\n".join(
        [
            "from schemas import privacy as p",
            "from schemas import types as t",
            f"from schemas.table import {', '.join(_imports(table))}",
            "",
            f"{identifier(table.name)} = Table(",
            f"    name={quoted(table.name)},",
            f"    source={_source(table.source)},",
            f"    key=({key}),",
            f"    history={type(table.history).__name__}(),",
            "    columns=(",
            *lines,
            *(f"        # left out, as its type is not supported: {quoted(name)}" for name in left_out),
            "    ),",
            *more,
            ")",
            "",
        ]
    )


def _imports(table: Table) -> list[str]:
    classes = {"Table", type(table.source).__name__, type(table.history).__name__}
    if table.clickhouse != ClickHouse():
        classes.add("ClickHouse")
    if table.clickhouse.partition_by is not None:
        classes.add("Month")
    return [*sorted(classes), *sorted({_constructor(column) for column in table.columns})]


def _constructor(column: Column) -> str:
    if column.nullable:
        return "optional"
    return "immutable" if column.immutable else "required"


def _column(column: Column, *, guessed: bool) -> str:
    values = (
        f"{column.id}, {quoted(column.name)}, t.{_call(column.type)}, {privacy_expression(column.privacy)}"
        f"{'' if column.zero is None else f', zero={quoted(column.zero)}'}"
    )
    return f"        {_constructor(column)}({values}),{'  # review' if guessed else ''}"


def _call(value: t.Type) -> str:
    """Returns the expression, such as ``Decimal(18, 4)``."""
    arguments = ", ".join(str(argument) for argument in vars(value).values() if argument is not None)
    return f"{type(value).__name__}({arguments})"


def privacy_expression(privacy: p.Privacy) -> str:
    match privacy:
        case p.Public():
            return "p.PUBLIC"
        case p.Pseudonym(domain):
            return f"p.Pseudonym({quoted(domain)})"
        case p.Generalise(rule):
            return f"p.Generalise({quoted(rule)})"
        case p.Redact():
            return "p.REDACT"
        case p.FreeText():
            return "p.FREE_TEXT"
        case p.Unclassified():
            return "p.UNCLASSIFIED"
        case _:
            assert_never(privacy)


def _source(source: Source) -> str:
    match source:
        case Shards(pattern):
            return f"Shards({quoted(pattern)})"
        case Metadata(database):
            return f"Metadata({quoted(database)})"
        case Computed(job, tier):
            return f"Computed({quoted(job)}, {quoted(tier)})"
        case _:
            assert_never(source)


def _clickhouse(storage: ClickHouse) -> str:
    order = ", ".join(map(quoted, storage.order_by)) + ("," if len(storage.order_by) == 1 else "")
    arguments: dict[str, Any] = {
        "order_by": f"({order})" if storage.order_by else None,
        "partition_by": f"Month({quoted(storage.partition_by.column)})"
        if storage.partition_by is not None
        else None,
        "keep_days": storage.keep_days,
    }
    written = ", ".join(f"{name}={value}" for name, value in arguments.items() if value is not None)
    return f"ClickHouse({written})"


def quoted(text: str) -> str:
    """Returns a Python string literal in double quotes; no text can end it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def identifier(table: str) -> str:
    """Returns an identifier, also used as a file name, for a table of any name."""
    name = re.sub(r"\W+", "_", table, flags=re.ASCII).strip("_").lower() or "table"
    return f"table_{name}" if name[0].isdigit() or keyword.iskeyword(name) or name in ("p", "t") else name


def file_names(tables: Iterable[str]) -> dict[str, str]:
    """Returns table -> file name, without duplicates."""
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
