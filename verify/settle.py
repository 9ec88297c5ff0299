"""What holds of the rows in doubt, once everything that the source had committed is landed.

A row's answer counts only if its newest version in ClickHouse is the same before MySQL was read and after ClickHouse
was: then every change up to the marker had landed before MySQL was read, so that MySQL's row did not change either
between its reading and the marker. A row that moved is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from schemas.render.checksum import Chunk
from verify.compare import key_differences
from verify.marker import Marker
from verify.narrow import Narrowing, Options, Pair, Suspect, Totals
from verify.results import RowDifference, Values
from verify.sides import Checksum

Chunks = Sequence[Chunk]


@dataclass
class Settled:
    """`moving` counts the keys, and `restless` the wide ranges, that changed in every round; `miscounted` the chunks whose
    counts differ though no row of them does."""

    differences: list[RowDifference] = field(default_factory=list)
    wide: list[Chunk] = field(default_factory=list)
    moving: int = 0
    restless: int = 0
    miscounted: int = 0
    reason: str = ""


def settle(pair: Pair, narrowing: Narrowing, marker: Marker, options: Options) -> Settled:
    """Blocks for the marker once a round; not at all if what looked different is equal, only spelled otherwise."""
    settled = Settled()
    groups = _first_looks(pair, narrowing, options.detail_rows)
    wide = [_Wide(pair, part) for part in _batches(narrowing.rest())]
    for left in reversed(range(options.rounds)):
        if not groups and not wide:
            break
        settled.reason = marker.wait()
        certain = not settled.reason
        answers = [group.answer(certain=certain) for group in groups]
        again = [group.chunks for group, answer in zip(groups, answers, strict=True) if answer.moving]
        last = not left or not certain
        settled.differences += [found for answer in answers if last or not answer.moving for found in answer.differences]
        restless = [chunk for part in wide for chunk in part.answer(settled.wide, certain=certain)]
        if last:
            settled.moving, settled.restless = sum(answer.moving for answer in answers), len(restless)
            break
        groups, wide = list(_looked(pair, again)), [_Wide(pair, part) for part in _batches(restless)]
    return settled


def recounted(pair: Pair, totals: Totals, suspects: Sequence[Suspect], marker: Marker, options: Options, settled: Settled) -> Totals:
    """The totals once the suspects' counts agree: the copy's lies between the source's before the marker and after.

    Blocks for the marker once a round; what never agrees is noted in `settled`.
    """
    left, rows = [suspect.chunk for suspect in suspects], totals.agreed
    for _ in range(options.rounds):
        before = pair.source.checksums(pair.scope, left)
        settled.reason = marker.wait()
        copy, after = pair.target.checksums(pair.scope, left), pair.source.checksums(pair.scope, left)
        again = []
        for chunk, (first, _), (count, _), (last, _) in zip(left, before, copy, after, strict=True):
            if min(first, last) <= count <= max(first, last):
                rows += count
            else:
                again.append(chunk)
        left = again
        if not left:
            settled.reason = ""
            return replace(totals, rows_source=rows, rows_clickhouse=rows)
        if settled.reason:
            break
    settled.miscounted = len(left)
    return totals


@dataclass(frozen=True)
class _Answer:
    """`differences` that are certain; `moving` counts the keys that were undecided."""

    differences: list[RowDifference]
    moving: int


class _Group:
    """Reads both sides when made, and remembers only the keys on which they differ; ClickHouse again when asked."""

    def __init__(self, pair: Pair, chunks: Chunks) -> None:
        self._pair = pair
        self.chunks = chunks
        before = pair.target.versions(pair.scope, chunks)
        rows, places = pair.source.rows(pair.scope, chunks), pair.target.places(pair.scope, chunks)
        doubtful = [key for key in rows.keys() | places.keys() if key_differences(pair.scope.table, rows.get(key, ()), places.get(key, ()))]
        self.rows: dict[bytes, list[Values]] = {key: rows.get(key, []) for key in doubtful}
        self._before = {key: before.get(key) for key in doubtful}

    def answer(self, *, certain: bool) -> _Answer:
        places = self._pair.target.places(self._pair.scope, self.chunks)
        after = self._pair.target.versions(self._pair.scope, self.chunks)
        differences: list[RowDifference] = []
        moving = 0
        for key, rows in sorted(self.rows.items()):
            found = key_differences(self._pair.scope.table, rows, places.get(key, ()))
            if certain and self._before[key] == after.get(key):
                differences += found
            else:
                moving += bool(found)
        return _Answer(differences, moving)


def _first_looks(pair: Pair, narrowing: Narrowing, most: int) -> list[_Group]:
    """Narrows and reads row by row until `most` keys differ: rows that are only spelled otherwise are never too many."""
    groups, keys = list[_Group](), 0
    for group in _looked(pair, narrowing.groups()):
        groups.append(group)
        keys += len(group.rows)
        if keys >= most:
            break
    return groups


def _looked(pair: Pair, groups: Iterable[Chunks]) -> Iterator[_Group]:
    """Leaves out what is equal by now."""
    for chunks in groups:
        group = _Group(pair, chunks)
        if group.rows:
            yield group


class _Wide:
    """Ranges too wide to be read; the source's checksums are taken when made, and again when asked."""

    def __init__(self, pair: Pair, chunks: Chunks) -> None:
        self._pair = pair
        self._chunks = chunks
        self._before: list[Checksum] = pair.source.checksums(pair.scope, chunks)

    def answer(self, differing: list[Chunk], *, certain: bool) -> list[Chunk]:
        """Adds the ranges that differ while the source holds still; returns those to read again."""
        again: list[Chunk] = []
        target = self._pair.target.checksums(self._pair.scope, self._chunks)
        after = self._pair.source.checksums(self._pair.scope, self._chunks)
        for chunk, first, copy, last in zip(self._chunks, self._before, target, after, strict=True):
            if copy in (first, last):
                continue
            if certain and first == last:
                differing.append(chunk)
            else:
                again.append(chunk)
        return again


def _batches(chunks: Chunks) -> Iterator[Chunks]:
    for start in range(0, len(chunks), 64):
        yield chunks[start : start + 64]
