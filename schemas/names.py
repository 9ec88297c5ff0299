"""Names of tables and columns in systems that allow only some characters."""

from __future__ import annotations

import re

from schemas.table import Computed, Table

DLQ_PREFIX = "dlq."
UNESCAPED = re.compile("[a-zA-Z0-9_]")
LONGEST_FILE_NAME = 195
"""Of ClickHouse's 255, less what it adds for dropped tables, our database names and generations."""


def topic_of(table: Table) -> str:
    """Returns the change topic of a table, shared by all its shards, or the result topic of a computed
    table."""
    tier = table.source.tier if isinstance(table.source, Computed) else "cdc"
    return f"{tier}.{topic_part(physical_name(table))}"


def physical_name(table: Table) -> str:
    """Returns the name of this generation's table and topic; readers use the table's own name."""
    return table.name if table.generation == 1 else f"{table.name}__g{table.generation}"


def topic_part(name: str) -> str:
    """Returns the name with every character replaced that a topic's name must not have; two names may become
    equal."""
    return re.sub(r"[^a-zA-Z0-9._-]", "_", name)


def dlq_of(topic: str) -> str:
    return DLQ_PREFIX + topic


def avro_field(column: str) -> str:
    """Returns a column's field in the record, as Debezium's ``field.name.adjustment.mode=avro`` names it."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", column)
    return "_" + name if name[:1].isdigit() else name


def unusable_name_reason(table: str) -> str | None:
    """Returns why ClickHouse cannot have a table of this name, if it cannot.

    It names files after the table, with every byte that is not a letter, digit or ``_`` of ASCII escaped, and
    refuses names that leave no room for what it adds (`DatabaseOnDisk::checkTableNameLength`).
    """
    length = sum(1 if UNESCAPED.match(chr(byte)) else 3 for byte in table.encode())
    if length <= LONGEST_FILE_NAME:
        return None
    return (
        f"the name takes {length} characters in ClickHouse's file names, which have room for "
        f"{LONGEST_FILE_NAME}: letters other than ASCII's take 6 to 12 each; rename the table in MySQL"
    )


def ch_name(name: str) -> str:
    """Returns a quoted ClickHouse identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def ch_string(text: str) -> str:
    """Returns a ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def mysql_name(name: str) -> str:
    """Returns a quoted MySQL identifier."""
    return "`" + name.replace("`", "``") + "`"
