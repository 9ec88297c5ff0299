"""Loads contracts: every `Table` value that the modules of a package or folder define."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from core.errors import ContractError
from core.modules import load_modules
from schemas.names import topic_of, unusable_name_reason
from schemas.table import Computed, Table, unusable_source_reason


@dataclass(frozen=True)
class Refused:
    """A contract that cannot be applied, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """The contracts, by name. Raises ContractError if two would share a name or a topic."""

    tables: tuple[Table, ...]
    refused: tuple[Refused, ...] = ()
    """Those that cannot be applied; the others can."""

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for table in self.tables:
            topic = topic_of(table)
            if topic in seen:
                raise ContractError(
                    f"contracts {seen[topic]!r} and {table.name!r} would share topic {topic}",
                    "rename one of the tables",
                )
            seen[topic] = table.name

    def __getitem__(self, name: str) -> Table:
        for table in self.tables:
            if table.name == name:
                return table
        known = ", ".join(sorted(table.name for table in self.tables)) or "none"
        raise ContractError(f"no contract names a table {name!r}", f"known tables: {known}")

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    @property
    def captured(self) -> Catalog:
        """The tables that are captured from MySQL."""
        return Catalog(tuple(table for table in self.tables if not isinstance(table.source, Computed)))

    @property
    def computed(self) -> Catalog:
        """The tables that Flink jobs compute."""
        return Catalog(tuple(table for table in self.tables if isinstance(table.source, Computed)))

    def with_generations(self, generations: Mapping[str, int]) -> Catalog:
        """Returns it with each computed table in the generation of `generations`, by table name; unchanged
        without an entry."""
        return Catalog(
            tuple(
                replace(table, generation=generations.get(table.name, table.generation))
                for table in self.tables
            ),
            self.refused,
        )

    def with_all_generations(self, generations: Mapping[str, Iterable[int]]) -> Catalog:
        """Returns it with each computed table in every generation of `generations`, by table name; in its
        first without an entry."""
        computed = (
            replace(table, generation=number)
            for table in self.computed
            for number in generations.get(table.name, (1,))
        )
        return Catalog((*self.captured, *computed))

    def select(self, names: Iterable[str]) -> tuple[Table, ...]:
        """Returns the named tables, or all tables if none is named.

        Raises ContractError for an unknown name.
        """
        return tuple(self[name] for name in names) or self.tables


def load(where: str) -> Catalog:
    """Loads the tables of a folder of ``*.py`` contract files, or of a package by its dotted name; both are
    executed. Tables that cannot be applied are apart, in `refused`.

    Raises MisconfiguredError if they cannot be loaded, ContractError if they define no table or contradict
    each other.
    """
    modules = load_modules(where, "contracts")
    tables = [value for module in modules for value in vars(module).values() if isinstance(value, Table)]
    if not tables:
        raise ContractError(
            f"no contracts in {where!r}", "name a folder or package whose modules define Table values"
        )
    return _usable(sorted(set(tables), key=lambda table: table.name))


def _usable(tables: Iterable[Table]) -> Catalog:
    usable: list[Table] = []
    refused: list[Refused] = []
    for table in tables:
        if (reason := unusable_source_reason(table.source) or unusable_name_reason(table.name)) is None:
            usable.append(table)
        else:
            refused.append(Refused(table.name, reason))
    return Catalog(tuple(usable), tuple(refused))
