"""Why rows that were read again still differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from verify.results import RowDifference, TableResult

MAX_COLUMNS = 5
NEWER = (
    "{}: ClickHouse's version is newer than any record, so somebody else has written it: delete it there, "
    "and repair again"
)
CAPTURED = "{}: landed again with the same values, as {} not captured as MySQL has it"
MISSING = "{}: missing after the landing; `switchboard dlq list` shows rows that cannot land"
EXTRA = "{}: not deleted, as MySQL has the row by now, or a key value is too long for a lookup"


def is_unchanged(before: TableResult, after: TableResult) -> bool:
    """Whether the same rows and ranges differ in the same way."""
    return _content(before) == _content(after)


def _content(result: TableResult) -> tuple[frozenset[object], tuple[tuple[int, int], ...]]:
    rows = frozenset((row.kind, row.key, row.source, row.clickhouse) for row in result.differences)
    return rows, result.unresolved_ranges


def explain(before: TableResult, after: TableResult) -> str:
    """Returns why reading the rows of `before` again has left them as they are in `after`: one line."""
    versions = {(row.kind, row.key): row.version for row in before.differences}
    kinds: Counter[str] = Counter()
    columns: dict[str, None] = {}
    for row in after.differences:
        kind = _kind(row, versions.get((row.kind, row.key)))
        kinds[kind] += 1
        if kind == CAPTURED:
            columns |= dict.fromkeys(column.name for column in row.columns)
    parts = [text.format(_rows(count), _named(list(columns))) for text, count in kinds.items()]
    parts += list(_ranges(after))
    return f"reading them again changes nothing: {'; '.join(parts)}"


def _kind(row: RowDifference, version_before: int | None) -> str:
    if row.kind == "missing in ClickHouse":
        return MISSING
    if row.kind == "extra in ClickHouse":
        return EXTRA
    return NEWER if row.version == version_before else CAPTURED


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _named(columns: list[str]) -> str:
    more = f" and {len(columns) - MAX_COLUMNS} more columns" if len(columns) > MAX_COLUMNS else ""
    return f"{', '.join(columns[:MAX_COLUMNS])}{more} {'is' if len(columns) == 1 else 'are each'}"


def _ranges(result: TableResult) -> Iterator[str]:
    if result.unresolved_ranges:
        yield f"{len(result.unresolved_ranges)} ranges of keys differ in too many rows to be compared"
