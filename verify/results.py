"""The results of a verification: one per shard of a table, with the rows that differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

Answer = Literal["equal", "different", "inconclusive"]
Kind = Literal["missing in ClickHouse", "extra in ClickHouse", "differs"]
Values = tuple[bytes | None, ...]
"""A row's canonical values in the order of the contract's columns."""


class StoredRow(NamedTuple):
    """A row of ClickHouse. One key may have several, if a sorting column is not part of the key."""

    values: Values
    version: int


EXIT_STATUS: dict[Answer, int] = {"equal": 0, "different": 1, "inconclusive": 2}


@dataclass(frozen=True)
class ColumnDifference:
    """Values masked for display: of a column that is not public, only the length is shown."""

    name: str
    source: str | None
    clickhouse: str | None


@dataclass(frozen=True)
class RowDifference:
    """One row that differs after everything that MySQL had committed has landed.

    `source` and `clickhouse` are each side's row of the key, unmasked, for the repair; `version` is the
    version of ClickHouse's row. `unmatched`: MySQL has no row with the storage key of ClickHouse's row.
    """

    kind: Kind
    key: tuple[tuple[str, str | None], ...]
    columns: tuple[ColumnDifference, ...]
    source: Values | None
    clickhouse: Values | None
    version: int | None
    unmatched: bool = False


@dataclass(frozen=True)
class TableResult:
    """The result for one shard of a table. `reason` is empty if the sides are equal.

    `unresolved_ranges` differ and were not compared row by row, because too many rows differ.
    """

    table: str
    shard: str
    answer: Answer
    rows_source: int
    rows_clickhouse: int
    chunks: int
    differences: tuple[RowDifference, ...] = ()
    unresolved_ranges: tuple[tuple[int, int], ...] = ()
    reason: str = ""
    dropped: bool = False
    """The source dropped the table: every row of ClickHouse is extra."""
    uncompared_columns: tuple[str, ...] = ()
    """The source's columns that the contract does not declare."""

    def inconclusive(self, reason: str) -> TableResult:
        return replace(self, answer="inconclusive", reason=reason)

    def as_json(self, limit: int) -> dict[str, Any]:
        """JSON-ready values with at most `limit` differences, masked."""
        return {
            "table": self.table,
            "shard": self.shard,
            "answer": self.answer,
            "reason": self.reason,
            "rows_source": self.rows_source,
            "rows_clickhouse": self.rows_clickhouse,
            "chunks": self.chunks,
            "columns_left_out": list(self.uncompared_columns),
            "differing_rows": len(self.differences),
            "ranges_not_narrowed": [{"from": low, "below": high} for low, high in self.unresolved_ranges],
            "differences": [_row_json(row) for row in self.differences[:limit]],
        }


def _row_json(row: RowDifference) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "key": dict(row.key),
        "columns": [
            {"name": column.name, "mysql": column.source, "clickhouse": column.clickhouse}
            for column in row.columns
        ],
    }


def worst(results: tuple[TableResult, ...]) -> Answer:
    """The result of all shards together: `different` outweighs `inconclusive`."""
    answers = {result.answer for result in results}
    if "different" in answers:
        return "different"
    return "inconclusive" if "inconclusive" in answers else "equal"
