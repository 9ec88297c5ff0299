"""What `verify` answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

Answer = Literal["equal", "different", "unsettled"]
Kind = Literal["missing in ClickHouse", "extra in ClickHouse", "differs"]
Values = tuple[bytes | None, ...]
"""A row's canonical values in the order of the contract's columns."""


class Place(NamedTuple):
    """A row that ClickHouse shows. One key may stand at several places, if a column that sorts it is not in the key."""

    values: Values
    version: int


EXIT_STATUS: dict[Answer, int] = {"equal": 0, "different": 1, "unsettled": 2}


@dataclass(frozen=True)
class ColumnDifference:
    """Values as a person may see them: those of a column that is not public only by their length."""

    name: str
    source: str | None
    clickhouse: str | None


@dataclass(frozen=True)
class RowDifference:
    """One row on which the sides disagree, after everything that MySQL had committed was landed.

    `source` and `clickhouse` hold what each side has of the key, unmasked, for the repair; `version` is that of
    ClickHouse's row. `astray`: MySQL has no row that ClickHouse would put where it has this one.
    """

    kind: Kind
    key: tuple[tuple[str, str | None], ...]
    columns: tuple[ColumnDifference, ...]
    source: Values | None
    clickhouse: Values | None
    version: int | None
    astray: bool = False


@dataclass(frozen=True)
class TableResult:
    """The answer for one shard of a table. `reason` is empty where the sides are equal.

    `wide` are ranges of positions that differ and were not narrowed, as there were too many of them.
    """

    table: str
    shard: str
    answer: Answer
    rows_source: int
    rows_clickhouse: int
    chunks: int
    differences: tuple[RowDifference, ...] = ()
    wide: tuple[tuple[int, int], ...] = ()
    reason: str = ""
    dropped: bool = False
    """The source has no such table any more: every row of ClickHouse is extra."""
    left_out: tuple[str, ...] = ()
    """The source's columns that were not compared, as the contract does not describe them."""

    def unsettled(self, reason: str) -> TableResult:
        return replace(self, answer="unsettled", reason=reason)

    def as_json(self, limit: int) -> dict[str, Any]:
        """At most `limit` differences, masked."""
        return {
            "table": self.table,
            "shard": self.shard,
            "answer": self.answer,
            "reason": self.reason,
            "rows_source": self.rows_source,
            "rows_clickhouse": self.rows_clickhouse,
            "chunks": self.chunks,
            "columns_left_out": list(self.left_out),
            "differing_rows": len(self.differences),
            "ranges_not_narrowed": [{"from": low, "below": high} for low, high in self.wide],
            "differences": [_row_json(row) for row in self.differences[:limit]],
        }


def _row_json(row: RowDifference) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "key": dict(row.key),
        "columns": [{"name": column.name, "mysql": column.source, "clickhouse": column.clickhouse} for column in row.columns],
    }


def worst(results: tuple[TableResult, ...]) -> Answer:
    """What holds for all of them: a proven difference outweighs an open question."""
    answers = {result.answer for result in results}
    if "different" in answers:
        return "different"
    return "unsettled" if "unsettled" in answers else "equal"
