"""From the whole table to the few rows in doubt: checksums of chunks, halved where they disagree. Waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from core import metrics
from schemas.render.checksum import HASHES, Chunk, Scope
from verify.sides import EMPTY, Checksum, ClickHouseSide, MySqlSide


@dataclass(frozen=True)
class Options:
    """`detail_rows` bounds the rows fetched from each side of one shard; what is beyond stays a differing range."""

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


@dataclass(frozen=True)
class Suspect:
    chunk: Chunk
    rows: int
    """The greater of the two sides' counts."""


@dataclass
class Doubts:
    """`leaves` are small enough to be compared row by row; `wide` are not, and too many to be narrowed."""

    leaves: list[Chunk] = field(default_factory=list)
    wide: list[Chunk] = field(default_factory=list)


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
            if left != EMPTY or right != EMPTY:
                totals.chunks += 1
                metrics.VERIFY_CHUNKS.labels(pair.scope.table.name, "equal" if left == right else "suspect").inc()
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


def narrow(pair: Pair, suspects: Sequence[Suspect], options: Options) -> Doubts:
    """Divides what differs until it is small, depth first; what turns out equal by now is dropped."""
    doubts, waiting, taken = Doubts(), list(suspects), 0
    at_once = 8 if pair.scope.by_integer else 64
    while waiting:
        batch, waiting = waiting[:at_once], waiting[at_once:]
        small = [suspect for suspect in batch if _is_leaf(suspect, options)]
        doubts.leaves += [suspect.chunk for suspect in small]
        taken += sum(suspect.rows for suspect in small)
        large = [suspect for suspect in batch if not _is_leaf(suspect, options)]
        if taken >= options.detail_rows:
            doubts.wide += [suspect.chunk for suspect in (*large, *waiting)]
            break
        if large:
            parts = [part for suspect in large for part in suspect.chunk.split(8)]
            waiting = pair.suspects(sorted(parts)) + waiting
    return doubts


def _is_leaf(suspect: Suspect, options: Options) -> bool:
    return suspect.rows <= options.leaf_rows or suspect.chunk.high - suspect.chunk.low == 1
