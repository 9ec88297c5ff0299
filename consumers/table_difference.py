"""How a physical table in ClickHouse differs from its contract. Pure: nothing is read or changed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from consumers.applied_contracts import Applied
from consumers.live_tables import Live, unquoted
from schemas.render import clickhouse as render
from schemas.table import Table

DAYS = re.compile(r"toDateTime\((.+)\) \+ toIntervalDay\((\d+)\)")


@dataclass(frozen=True)
class Difference:
    """The changes from a live table to its contract's."""

    renamed: dict[str, str]
    new: tuple[str, ...]
    retyped: dict[str, tuple[str, str]]
    """Column -> (live type, wanted type)."""
    removed: tuple[str, ...]
    """Columns that the contract no longer has, or whose policy rules them out."""
    kept: tuple[str, ...]
    """Columns that the contract does not describe, shown in the view."""
    keys: tuple[str, ...]
    """Lines that describe changes of the sorting or partition key."""
    retention: tuple[str, str] | None
    """(live TTL, wanted TTL), empty for none; None if they are equal."""
    needs_rebuild: bool
    narrows: bool
    """Whether a change of type could lose values."""
    expires: bool
    """Whether rows would expire sooner."""

    @property
    def lines(self) -> tuple[str, ...]:
        return (
            *(f"{old} -> {name} (renamed)" for old, name in self.renamed.items()),
            *(f"+ {name}" for name in self.new),
            *(f"~ {name} {live} -> {wanted}" for name, (live, wanted) in self.retyped.items()),
            *self.keys,
            *(() if self.retention is None else (_retention_line(*self.retention),)),
        )


def difference(table: Table, live: Live, before: Applied) -> Difference:
    """Returns what has to change in the live table, given the contract that was applied last."""
    wanted = dict(render.all_columns(table))
    new_names = renamed(table, before)
    renames = {
        old: name for old, name in new_names.items() if old in live.columns and name not in live.columns
    }
    undescribed = [name for name in live.columns if name not in wanted and name not in new_names]
    described = set(before.columns.values())
    removed = [name for name in undescribed if name in described or table.unknown_column != "evolve"]
    retyped = {
        name: (live.columns[name], kind)
        for name, kind in wanted.items()
        if name in live.columns and not _accepts(_without_spaces(live.columns[name]), _without_spaces(kind))
    }
    keys = _key_lines(table, live)
    retention = _retention(table, live)
    return Difference(
        renamed=renames,
        new=tuple(name for name in wanted if name not in live.columns and name not in renames.values()),
        retyped=retyped,
        removed=tuple(removed),
        kept=tuple(name for name in undescribed if name not in removed),
        keys=keys,
        retention=retention,
        needs_rebuild=bool(keys) or any(name in render.sorting_key(table) for name in retyped),
        narrows=any(narrows(*kinds) for kinds in retyped.values()),
        expires=retention is not None and _expires(*retention),
    )


def _retention(table: Table, live: Live) -> tuple[str, str] | None:
    wanted = unquoted(render.retention_expression(table) or "")
    return None if live.retention == wanted else (live.retention, wanted)


def _retention_line(live: str, wanted: str) -> str:
    return f"~ rows expire at {live or 'no time'} -> {wanted or 'no time'}"


def _expires(live: str, wanted: str) -> bool:
    """Whether rows expire sooner; assumed for an expression that is none of a contract's."""
    if not wanted:
        return False
    before, after = DAYS.fullmatch(live), DAYS.fullmatch(wanted)
    if before is None or after is None or before[1] != after[1]:
        return True
    return int(after[2]) < int(before[2])


def dropped_by_hand(found: Difference, before: Applied) -> list[str]:
    """Returns the columns of the applied contract that the live table lacks: somebody has dropped them."""
    described = set(before.columns.values())
    return [name for name in found.new if name in described]


def renamed(table: Table, before: Applied) -> dict[str, str]:
    """Returns old name -> new name of the columns whose permanent id had another name in the contract applied
    last."""
    names = {column.id: column.name for column in table.columns}
    return {
        old: names[key]
        for key, old in before.columns.items()
        if names.get(key, old) != old and old not in table.names
    }


def _key_lines(table: Table, live: Live) -> tuple[str, ...]:
    sorting, month = unquoted(render.sorting_expression(table)), table.clickhouse.partition_by
    partition = "" if month is None else unquoted(render.partition_expression(month))
    pairs = (("ordered by", live.sorting, sorting), ("partitioned by", live.partition, partition))
    return tuple(
        f"~ {what} {old or 'nothing'} -> {new or 'nothing'}" for what, old, new in pairs if old != new
    )


def identity_changes(table: Table, live: Live) -> bool:
    """Whether another set of columns identifies rows, so that some would merge or appear twice."""
    return set(live.sorting.split(", ")) != set(unquoted(render.sorting_expression(table)).split(", "))


def keys_change(table: Table, live: Live, found: Difference, before: Applied) -> bool:
    """Whether the bytes of record keys change: with the columns, their names or their order, and with types.

    Integers of any width are encoded alike, other types may not be.
    """
    changed = (kinds for name, kinds in found.retyped.items() if name in table.key)
    return (
        identity_changes(table, live)
        or before.key not in ((), table.key)
        or any("Int" not in old or "Int" not in new for old, new in changed)
    )


def _without_spaces(kind: str) -> str:
    return kind.replace(" ", "")


def _accepts(live: str, wanted: str) -> bool:
    """A column that landing added before the contract described it is nullable, and may stay so."""
    return live in (
        wanted,
        f"Nullable({wanted})",
        wanted.replace("LowCardinality(String)", "LowCardinality(Nullable(String))"),
    )


def narrows(live: str, wanted: str) -> bool:
    """Whether a change of type could lose a value: everything but a wider integer, or null allowed."""
    if _without_spaces(wanted) == f"Nullable({_without_spaces(live)})":
        return False
    order = ["Int8", "Int16", "Int32", "Int64"]
    old, new = live.removeprefix("Nullable(").rstrip(")"), wanted.removeprefix("Nullable(").rstrip(")")
    for prefix in ("", "U"):
        names = [prefix + name for name in order]
        if old in names and new in names:
            return names.index(new) < names.index(old)
    return old != new or (live.startswith("Nullable") and not wanted.startswith("Nullable"))
