"""Finds the chunks that differ: checksums of the whole table first, then of the parts of each mismatched
chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from schemas.render.checksum import HASHES, Chunk, Scope
from verify.sources import EMPTY, Checksum, ClickHouseReader, MySqlReader

QUERY_CHUNKS = 32
SPLIT_PARTS = 8
"""Parts of a mismatched chunk: eight keep both the depth and the checksums that are read in vain small."""
RANGES_PER_QUERY = 8
"""Chunks of an integer key are ranges of the primary key: a query reads the rows of its ranges only."""
HASH_CHUNKS_PER_QUERY = 64
"""Chunks of hashed keys: each query scans the whole shard, so that it asks for many at once."""


@dataclass(frozen=True)
class Options:
    """Limits of one verification.

    `batch_rows` of the source are read by one scan query, in chunks of `chunk_rows`. Chunks of up to
    `row_level_rows` are compared row by row, until `detail_rows` rows differ; further mismatches are reported
    as ranges. `rounds` is how often rows that change meanwhile are read again.
    """

    batch_rows: int = 640_000
    chunk_rows: int = 10_000
    row_level_rows: int = 1000
    detail_rows: int = 50_000
    rounds: int = 6


Progress = Callable[[int], None]
"""Called with the number of the source's rows that one more batch has compared."""


@dataclass
class Totals:
    rows_source: int = 0
    rows_clickhouse: int = 0
    chunks: int = 0
    matched: int = 0
    """Rows of the chunks that were equal in the scan."""


@dataclass(frozen=True)
class MismatchedChunk:
    chunk: Chunk
    rows: int
    """The larger of the two sides' row counts."""


@dataclass(frozen=True)
class ComparisonPair:
    """The two readers, and the part of the table that they compare."""

    source: MySqlReader
    target: ClickHouseReader
    scope: Scope

    def compare(self, chunks: Sequence[Chunk]) -> list[tuple[Chunk, Checksum, Checksum]]:
        left = self.source.checksums(self.scope, chunks)
        right = self.target.checksums(self.scope, chunks)
        return list(zip(chunks, left, right, strict=True))

    def mismatches(self, chunks: Sequence[Chunk]) -> list[MismatchedChunk]:
        return [MismatchedChunk(chunk, max(a[0], b[0])) for chunk, a, b in self.compare(chunks) if a != b]


def scan(pair: ComparisonPair, options: Options, progress: Progress) -> tuple[Totals, list[MismatchedChunk]]:
    """Compares the checksums of every row of both sides once. Blocks; calls `progress` after each batch."""
    totals = Totals()
    mismatches: list[MismatchedChunk] = []
    for chunks in batches(pair, options):
        before = totals.rows_source
        for chunk, left, right in pair.compare(chunks):
            totals.rows_source += left[0]
            totals.rows_clickhouse += right[0]
            if left != right:
                mismatches.append(MismatchedChunk(chunk, max(left[0], right[0])))
            else:
                totals.matched += left[0]
            if left != EMPTY or right != EMPTY:
                totals.chunks += 1
        progress(totals.rows_source - before)
    return totals, mismatches


def batches(pair: ComparisonPair, options: Options) -> Iterator[tuple[Chunk, ...]]:
    """The chunks of each scan query: ranges of an integer key, or else equal parts of the space of key
    hashes."""
    if not pair.scope.by_integer:
        estimate = max(pair.source.estimated_rows(pair.scope), pair.target.count(pair.scope))
        yield Chunk(0, HASHES).split(min(1024, estimate // options.chunk_rows + 1))
        return
    bounds = [bound for bound in (pair.source.bounds(pair.scope), pair.target.bounds(pair.scope)) if bound]
    if not bounds:
        return
    low = min(bound[0] for bound in bounds)
    end = max(bound[1] for bound in bounds) + 1
    while low < end:
        high = pair.source.step(pair.scope, low, options.batch_rows) or end
        yield Chunk(low, high).split(max(1, options.batch_rows // options.chunk_rows))
        low = high


class Candidates:
    """Splits mismatched chunks, depth first and on demand, until they are small enough to be compared row by
    row.

    Parts whose checksums are equal are dropped.
    """

    def __init__(self, pair: ComparisonPair, mismatches: Sequence[MismatchedChunk], options: Options) -> None:
        self._pair = pair
        self._options = options
        self._unsplit = list(mismatches)
        self._row_level_chunks: list[Chunk] = []

    def groups(self) -> Iterator[list[Chunk]]:
        """Chunks to be compared row by row, as many at a time as one query reads."""
        while self._unsplit or self._row_level_chunks:
            while self._unsplit and len(self._row_level_chunks) < QUERY_CHUNKS:
                self._split()
            group, self._row_level_chunks = (
                self._row_level_chunks[:QUERY_CHUNKS],
                self._row_level_chunks[QUERY_CHUNKS:],
            )
            if group:
                yield sorted(group)

    def rest(self) -> list[Chunk]:
        """The chunks that no group has contained yet."""
        return sorted([*self._row_level_chunks, *(mismatch.chunk for mismatch in self._unsplit)])

    def _split(self) -> None:
        count = RANGES_PER_QUERY if self._pair.scope.by_integer else HASH_CHUNKS_PER_QUERY
        batch, self._unsplit = self._unsplit[:count], self._unsplit[count:]
        self._row_level_chunks += [
            mismatch.chunk for mismatch in batch if _is_row_level(mismatch, self._options)
        ]
        parts: list[Chunk] = []
        for mismatch in batch:
            if not _is_row_level(mismatch, self._options):
                parts += mismatch.chunk.split(SPLIT_PARTS)
        if parts:
            self._unsplit = self._pair.mismatches(sorted(parts)) + self._unsplit


def _is_row_level(mismatch: MismatchedChunk, options: Options) -> bool:
    return mismatch.rows <= options.row_level_rows or mismatch.chunk.high - mismatch.chunk.low == 1
