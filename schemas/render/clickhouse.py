"""Contract -> ClickHouse: the storage table and the view of current rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from schemas import types as t
from schemas.names import ch_name, physical_name
from schemas.table import Column, Computed, Month, Table

STORAGE_DATABASE = "landed"
"""The database of the storage tables; readers use the views in `VIEW_DATABASE`, which apply FINAL."""
VIEW_DATABASE = "base"

META_COLUMNS: tuple[tuple[str, str], ...] = (
    ("_shard", "LowCardinality(String)"),
    ("_partition", "UInt32"),
    ("_offset", "UInt64"),
    ("_version", "UInt64"),
    ("_deleted", "UInt8"),
    ("_committed_at", "DateTime64(3, 'UTC')"),
    ("_file", "LowCardinality(String)"),
    ("_pos", "UInt64"),
    ("_row", "UInt32"),
    ("_landed_at", "DateTime64(3, 'UTC')"),
)


def storage_table(table: Table) -> str:
    return f"{STORAGE_DATABASE}.{ch_name(physical_name(table))}"


def current_view(table: Table) -> str:
    return f"{view_database(table)}.{ch_name(table.name)}"


def view_database(table: Table) -> str:
    return table.source.tier if isinstance(table.source, Computed) else VIEW_DATABASE


def plain_type(kind: t.Type) -> str:
    """Returns the ClickHouse type of a value that is not null."""
    match kind:
        case t.Int(bits):
            return f"Int{32 if bits == 24 else bits}"
        case t.UInt(bits):
            return f"UInt{32 if bits == 24 else bits}"
        case t.Decimal(precision, scale):
            return f"Decimal({precision}, {scale})"
        case t.Float(bits):
            return f"Float{bits}"
        case t.Bool():
            return "Int8"
        case t.Date():
            return "Date32"
        case t.Time():
            return "Int64"
        case t.Year():
            return "UInt16"
        case t.DateTime(fraction) | t.Timestamp(fraction):
            return f"DateTime64({fraction}, 'UTC')"
        case t.Enum():
            return "LowCardinality(String)"
        case t.Text() | t.Set() | t.Json() | t.Binary():
            return "String"
        case t.Bit():
            return "UInt64"
        case _:
            assert_never(kind)


def column_type(column: Column) -> str:
    plain = plain_type(column.type)
    if not column.nullable:
        return plain
    if plain.startswith("LowCardinality("):
        return plain.replace("LowCardinality(String)", "LowCardinality(Nullable(String))")
    return f"Nullable({plain})"


def all_columns(table: Table) -> tuple[tuple[str, str], ...]:
    """Returns (name, type) of every column of the storage table, the contract's first."""
    return tuple((column.name, column_type(column)) for column in table.columns) + META_COLUMNS


def sorting_key(table: Table) -> tuple[str, ...]:
    return (*table.order_by, "_shard")


def create_storage_table(table: Table, name: str = "") -> str:
    """Returns the DDL, for another qualified and quoted `name` if one is given."""
    columns = ",\n".join(f"    {ch_name(name)} {kind}" for name, kind in all_columns(table))
    parts = [f"CREATE TABLE IF NOT EXISTS {name or storage_table(table)}\n(\n{columns}\n)"]
    parts.append("ENGINE = ReplacingMergeTree(_version, _deleted)")
    if table.clickhouse.partition_by is not None:
        parts.append(f"PARTITION BY {partition_expression(table.clickhouse.partition_by)}")
    parts.append(f"ORDER BY ({sorting_expression(table)})")
    if (retention := retention_expression(table)) is not None:
        parts.append(f"TTL {retention}")
    parts.append(f"SETTINGS {_settings(table)}")
    return "\n".join(parts)


def sorting_expression(table: Table) -> str:
    return ", ".join(map(ch_name, sorting_key(table)))


def partition_expression(month: Month) -> str:
    return f"toYYYYMM({ch_name(month.column)})"


def retention_expression(table: Table) -> str | None:
    """Returns until when a row is kept; None if rows are kept forever."""
    storage = table.clickhouse
    if storage.keep_days is None or storage.partition_by is None:
        return None
    return f"toDateTime({ch_name(storage.partition_by.column)}) + toIntervalDay({storage.keep_days})"


def modify_retention(table: Table) -> str:
    """Returns the ALTER of a live table to the contract's retention."""
    retention = retention_expression(table)
    change = "REMOVE TTL" if retention is None else f"MODIFY TTL {retention}"
    return f"ALTER TABLE {storage_table(table)} {change}"


def _settings(table: Table) -> str:
    settings = {"ttl_only_drop_parts": 1, "non_replicated_deduplication_window": 1000}
    if any(table.column(name).nullable for name in table.order_by):
        settings["allow_nullable_key"] = 1
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def create_current_view(table: Table, columns: Sequence[str] = ()) -> str:
    """Returns the DDL of the view: the newest version of each key that is not deleted.

    `columns` defaults to the contract's; landing's columns follow. The setting is safe as a row's partition
    never changes.
    """
    names = ",\n".join(
        f"    {ch_name(name)}" for name in (*(columns or table.names), *(name for name, _ in META_COLUMNS))
    )
    return (
        f"CREATE OR REPLACE VIEW {current_view(table)} AS\nSELECT\n{names}\nFROM {storage_table(table)} "
        "FINAL\n"
        "SETTINGS do_not_merge_across_partitions_select_final = 1"
    )


def add_column(table: Table, column: Column) -> str:
    return (
        f"ALTER TABLE {storage_table(table)} ADD COLUMN IF NOT EXISTS {ch_name(column.name)} "
        f"{column_type(column)}"
    )


def modify_column(table: Table, column: Column) -> str:
    return f"ALTER TABLE {storage_table(table)} MODIFY COLUMN {ch_name(column.name)} {column_type(column)}"


def rename_column(table: Table, old: str, new: str) -> str:
    return f"ALTER TABLE {storage_table(table)} RENAME COLUMN IF EXISTS {ch_name(old)} TO {ch_name(new)}"


def drop_column(table: Table, name: str) -> str:
    return f"ALTER TABLE {storage_table(table)} DROP COLUMN IF EXISTS {ch_name(name)}"
