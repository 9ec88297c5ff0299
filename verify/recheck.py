"""Rechecks the rows that differ, once everything that the source had committed has landed.

The result for a row counts only if its newest version in ClickHouse is the same before MySQL was read and
after the second read of ClickHouse. Then every change up to the barrier had landed before MySQL was read, so
MySQL's row did not change between its read and the barrier either. A row whose version changed is read again
in the next round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from schemas.render.checksum import Chunk
from verify.barrier import CatchUpBarrier
from verify.bisect import Candidates, ComparisonPair, MismatchedChunk, Options, Totals
from verify.compare import key_differences
from verify.results import RowDifference, Values
from verify.sources import Checksum

Chunks = Sequence[Chunk]
CHUNKS_PER_QUERY = 64


@dataclass
class RecheckResult:
    """`unstable_rows` and `unstable_ranges` count the keys and the ranges that changed in every round.

    `count_mismatches` counts the chunks whose row counts differ although no row of them does. `reason` says
    why the barrier was not reached; it is empty otherwise.
    """

    differences: list[RowDifference] = field(default_factory=list)
    unresolved_ranges: list[Chunk] = field(default_factory=list)
    unstable_rows: int = 0
    unstable_ranges: int = 0
    count_mismatches: int = 0
    reason: str = ""


def recheck(
    pair: ComparisonPair, candidates: Candidates, barrier: CatchUpBarrier, options: Options
) -> RecheckResult:
    """Compares the candidates row by row, for up to `options.rounds` rounds.

    Blocks for the barrier once a round; not at all if every row that looked different has an equal canonical
    value.
    """
    result = RecheckResult()
    groups = _initial_groups(pair, candidates, options.detail_rows)
    ranges = _ranges(pair, candidates.rest())
    for rounds_left in reversed(range(options.rounds)):
        if not groups and not ranges:
            break
        result.reason = barrier.wait()
        caught_up = not result.reason
        last = not rounds_left or not caught_up

        unstable_groups: list[Chunks] = []
        unstable_rows = 0
        for group in groups:
            answer = group.recheck(caught_up=caught_up)
            unstable_rows += answer.unstable_rows
            if answer.unstable_rows:
                unstable_groups.append(group.chunks)
            if last or not answer.unstable_rows:
                result.differences += answer.differences
        unstable_ranges: list[Chunk] = []
        for part in ranges:
            unstable_ranges += part.recheck(result.unresolved_ranges, caught_up=caught_up)

        if last:
            result.unstable_rows = unstable_rows
            result.unstable_ranges = len(unstable_ranges)
            break
        groups = list(_differing_groups(pair, unstable_groups))
        ranges = _ranges(pair, unstable_ranges)
    return result


def recount(
    pair: ComparisonPair,
    totals: Totals,
    mismatches: Sequence[MismatchedChunk],
    barrier: CatchUpBarrier,
    options: Options,
    result: RecheckResult,
) -> Totals:
    """Counts the mismatched chunks again, until each of ClickHouse's counts lies between the source's before
    and after it.

    Blocks for the barrier once a round. Returns the totals with the counts that agree; chunks that never
    agree are counted in `result`, and the totals stay as they were.
    """
    chunks = [mismatch.chunk for mismatch in mismatches]
    rows = totals.matched
    for _ in range(options.rounds):
        before = pair.source.checksums(pair.scope, chunks)
        result.reason = barrier.wait()
        copy = pair.target.checksums(pair.scope, chunks)
        after = pair.source.checksums(pair.scope, chunks)
        unequal = []
        for chunk, (first, _), (count, _), (last, _) in zip(chunks, before, copy, after, strict=True):
            if min(first, last) <= count <= max(first, last):
                rows += count
            else:
                unequal.append(chunk)
        chunks = unequal
        if not chunks:
            result.reason = ""
            return replace(totals, rows_source=rows, rows_clickhouse=rows)
        if result.reason:
            break
    result.count_mismatches = len(chunks)
    return totals


@dataclass(frozen=True)
class _GroupResult:
    """`differences` that are certain; `unstable_rows` counts the keys that changed meanwhile."""

    differences: list[RowDifference]
    unstable_rows: int


class _Group:
    """Chunks that are compared row by row.

    Reads both sides when created, and keeps only the keys that differ.
    """

    def __init__(self, pair: ComparisonPair, chunks: Chunks) -> None:
        self._pair = pair
        self.chunks = chunks
        before = pair.target.versions(pair.scope, chunks)
        rows = pair.source.rows(pair.scope, chunks)
        stored = pair.target.stored_rows(pair.scope, chunks)
        self.rows: dict[bytes, list[Values]] = {}
        for key in rows.keys() | stored.keys():
            if key_differences(pair.scope.table, rows.get(key, ()), stored.get(key, ())):
                self.rows[key] = rows.get(key, [])
        self._before = {key: before.get(key) for key in self.rows}

    def recheck(self, *, caught_up: bool) -> _GroupResult:
        """Reads ClickHouse again; nothing is certain unless the barrier was reached (`caught_up`)."""
        stored = self._pair.target.stored_rows(self._pair.scope, self.chunks)
        after = self._pair.target.versions(self._pair.scope, self.chunks)
        differences: list[RowDifference] = []
        unstable_rows = 0
        for key, rows in sorted(self.rows.items()):
            found = key_differences(self._pair.scope.table, rows, stored.get(key, ()))
            if caught_up and self._before[key] == after.get(key):
                differences += found
            else:
                unstable_rows += bool(found)
        return _GroupResult(differences, unstable_rows)


def _initial_groups(pair: ComparisonPair, candidates: Candidates, max_keys: int) -> list[_Group]:
    """Reads candidates until `max_keys` keys differ. Rows with equal canonical values do not count."""
    groups = list[_Group]()
    keys = 0
    for group in _differing_groups(pair, candidates.groups()):
        groups.append(group)
        keys += len(group.rows)
        if keys >= max_keys:
            break
    return groups


def _differing_groups(pair: ComparisonPair, groups: Iterable[Chunks]) -> Iterator[_Group]:
    for chunks in groups:
        group = _Group(pair, chunks)
        if group.rows:
            yield group


class _Ranges:
    """Mismatched chunks beyond the row limit.

    Reads the source's checksums when created, and again in `recheck`.
    """

    def __init__(self, pair: ComparisonPair, chunks: Chunks) -> None:
        self._pair = pair
        self._chunks = chunks
        self._before: list[Checksum] = pair.source.checksums(pair.scope, chunks)

    def recheck(self, differing: list[Chunk], *, caught_up: bool) -> list[Chunk]:
        """Adds the ranges that differ while the source is stable to `differing`; returns those to read
        again."""
        unstable: list[Chunk] = []
        target = self._pair.target.checksums(self._pair.scope, self._chunks)
        after = self._pair.source.checksums(self._pair.scope, self._chunks)
        for chunk, first, copy, last in zip(self._chunks, self._before, target, after, strict=True):
            if copy in (first, last):
                continue
            if caught_up and first == last:
                differing.append(chunk)
            else:
                unstable.append(chunk)
        return unstable


def _ranges(pair: ComparisonPair, chunks: Chunks) -> list[_Ranges]:
    return [
        _Ranges(pair, chunks[start : start + CHUNKS_PER_QUERY])
        for start in range(0, len(chunks), CHUNKS_PER_QUERY)
    ]
