"""How a table or column of any name is called where only some characters are allowed."""

from __future__ import annotations

import re

from schemas.table import Computed, Table

DLQ_PREFIX = "dlq."


def topic_of(table: Table) -> str:
    """The change topic of a table over all its shards, or the result topic of a computed one."""
    tier = table.source.tier if isinstance(table.source, Computed) else "cdc"
    return f"{tier}.{topic_part(physical_name(table))}"


def physical_name(table: Table) -> str:
    """What the generation's own table and topic are called; readers know the table by its name."""
    return table.name if table.generation == 1 else f"{table.name}__g{table.generation}"


def topic_part(name: str) -> str:
    """As much of a name as a topic's may hold; two names may become one."""
    return re.sub(r"[^a-zA-Z0-9._-]", "_", name)


def dlq_of(topic: str) -> str:
    return DLQ_PREFIX + topic


def avro_field(column: str) -> str:
    """The field of a column in the record, as Debezium's ``field.name.adjustment.mode=avro`` spells it."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", column)
    return "_" + name if name[:1].isdigit() else name


def ch_name(name: str) -> str:
    """A quoted ClickHouse identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def ch_string(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def mysql_name(name: str) -> str:
    """A quoted MySQL identifier."""
    return "`" + name.replace("`", "``") + "`"
