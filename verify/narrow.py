"""From the whole table to the few rows in doubt: checksums of chunks, halved where they disagree. Waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from schemas.render.checksum import HASHES, Chunk, Scope
from verify.sides import EMPTY, Checksum, ClickHouseSide, MySqlSide

QUERY_CHUNKS = 32


@dataclass(frozen=True)
class Options:
    """`detail_rows` bounds the differing rows that are listed of one shard; what is beyond stays a differing range."""

    pass_rows: int = 640_000
    chunk_rows: int = 10_000
    leaf_rows: int = 1000
    detail_rows: int = 50_000
    rounds: int = 6


Progress = Callable[[int], None]
"""Told how many more rows of the source were compared."""


@dataclass
class Totals:
    rows_source: int = 0
    rows_clickhouse: int = 0
    chunks: int = 0
    agreed: int = 0
    """Rows of the chunks that were equal at once."""


@dataclass(frozen=True)
class Suspect:
    chunk: Chunk
    rows: int
    """The greater of the two sides' counts."""


@dataclass(frozen=True)
class Pair:
    source: MySqlSide
    target: ClickHouseSide
    scope: Scope

    def compare(self, chunks: Sequence[Chunk]) -> list[tuple[Chunk, Checksum, Checksum]]:
        left, right = self.source.checksums(self.scope, chunks), self.target.checksums(self.scope, chunks)
        return list(zip(chunks, left, right, strict=True))

    def suspects(self, chunks: Sequence[Chunk]) -> list[Suspect]:
        return [Suspect(chunk, max(a[0], b[0])) for chunk, a, b in self.compare(chunks) if a != b]


def first_look(pair: Pair, options: Options, progress: Progress) -> tuple[Totals, list[Suspect]]:
    """Every row of both sides once, in passes of about `pass_rows`."""
    totals, suspects = Totals(), []
    for chunks in passes(pair, options):
        before = totals.rows_source
        for chunk, left, right in pair.compare(chunks):
            totals.rows_source += left[0]
            totals.rows_clickhouse += right[0]
            if left != right:
                suspects.append(Suspect(chunk, max(left[0], right[0])))
            else:
                totals.agreed += left[0]
            if left != EMPTY or right != EMPTY:
                totals.chunks += 1
        progress(totals.rows_source - before)
    return totals, suspects


def passes(pair: Pair, options: Options) -> Iterator[tuple[Chunk, ...]]:
    if not pair.scope.by_integer:
        estimate = max(pair.source.estimated_rows(pair.scope), pair.target.count(pair.scope))
        yield Chunk(0, HASHES).split(min(1024, estimate // options.chunk_rows + 1))
        return
    bounds = [found for found in (pair.source.bounds(pair.scope), pair.target.bounds(pair.scope)) if found]
    if not bounds:
        return
    low, end = min(bound[0] for bound in bounds), max(bound[1] for bound in bounds) + 1
    while low < end:
        high = pair.source.step(pair.scope, low, options.pass_rows) or end
        yield Chunk(low, high).split(max(1, options.pass_rows // options.chunk_rows))
        low = high


class Narrowing:
    """Divides what differs until it is small, depth first and only as far as it is asked for; what is equal by now is dropped."""

    def __init__(self, pair: Pair, suspects: Sequence[Suspect], options: Options) -> None:
        self._pair = pair
        self._options = options
        self._waiting = list(suspects)
        self._leaves: list[Chunk] = []

    def groups(self) -> Iterator[list[Chunk]]:
        """Chunks small enough to be compared row by row, so many as one query shall read."""
        while self._waiting or self._leaves:
            while self._waiting and len(self._leaves) < QUERY_CHUNKS:
                self._divide()
            group, self._leaves = self._leaves[:QUERY_CHUNKS], self._leaves[QUERY_CHUNKS:]
            if group:
                yield sorted(group)

    def rest(self) -> list[Chunk]:
        """What no group has held yet."""
        return sorted([*self._leaves, *(suspect.chunk for suspect in self._waiting)])

    def _divide(self) -> None:
        at_once = 8 if self._pair.scope.by_integer else 64
        batch, self._waiting = self._waiting[:at_once], self._waiting[at_once:]
        self._leaves += [suspect.chunk for suspect in batch if _is_leaf(suspect, self._options)]
        parts = [part for suspect in batch if not _is_leaf(suspect, self._options) for part in suspect.chunk.split(8)]
        if parts:
            self._waiting = self._pair.suspects(sorted(parts)) + self._waiting


def _is_leaf(suspect: Suspect, options: Options) -> bool:
    return suspect.rows <= options.leaf_rows or suspect.chunk.high - suspect.chunk.low == 1
