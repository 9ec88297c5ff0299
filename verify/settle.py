"""What holds of the rows in doubt, once everything that the source had committed is landed.

A row's answer counts only if its newest version in ClickHouse is the same before MySQL was read and after ClickHouse
was: then every change up to the marker had landed before MySQL was read, so that MySQL's row did not change either
between its reading and the marker. A row that moved is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from schemas.render.checksum import Chunk
from verify.compare import row_difference
from verify.marker import Marker
from verify.narrow import Doubts, Options, Pair
from verify.results import RowDifference

QUERY_CHUNKS = 32


@dataclass
class Settled:
    """`moving` counts the keys, and `restless` the wide ranges, that changed in every round."""

    differences: dict[bytes, RowDifference] = field(default_factory=dict)
    wide: list[Chunk] = field(default_factory=list)
    moving: int = 0
    restless: int = 0
    reason: str = ""


def settle(pair: Pair, doubts: Doubts, marker: Marker, options: Options) -> Settled:
    """Blocks for the marker once a round."""
    settled = Settled()
    leaves, wide = sorted(doubts.leaves), sorted(doubts.wide)
    for _ in range(options.rounds):
        if not leaves and not wide:
            break
        round_ = _Round(pair, leaves, wide)
        settled.reason = marker.wait()
        leaves, settled.moving = round_.rows(settled.differences, certain=not settled.reason)
        wide = round_.ranges(settled.wide, certain=not settled.reason)
        settled.restless = len(wide)
        if settled.reason:
            break
    return settled


class _Round:
    """Reads the source when made, ClickHouse when asked."""

    def __init__(self, pair: Pair, leaves: Sequence[Chunk], wide: Sequence[Chunk]) -> None:
        self._pair = pair
        self._wide = list(wide)
        self._groups = [leaves[start : start + QUERY_CHUNKS] for start in range(0, len(leaves), QUERY_CHUNKS)]
        self._versions = [pair.target.versions(pair.scope, group) for group in self._groups]
        self._rows = [pair.source.rows(pair.scope, group) for group in self._groups]
        self._sums = [pair.source.checksums(pair.scope, part) for part in _batches(self._wide)]

    def rows(self, differences: dict[bytes, RowDifference], *, certain: bool) -> tuple[list[Chunk], int]:
        """Adds what differs; returns the chunks to read again, and how many keys in them are undecided."""
        again: list[Chunk] = []
        moving = 0
        for group, before, source in zip(self._groups, self._versions, self._rows, strict=True):
            target = self._pair.target.rows(self._pair.scope, group)
            after = self._pair.target.versions(self._pair.scope, group)
            undecided = 0
            for key in source.keys() | target.keys():
                differences.pop(key, None)
                found = row_difference(self._pair.scope.table, source.get(key), target.get(key), after.get(key))
                if found is None:
                    continue
                if certain and before.get(key) == after.get(key):
                    differences[key] = found
                else:
                    undecided += 1
            if undecided:
                moving += undecided
                again += group
        return again, moving

    def ranges(self, differing: list[Chunk], *, certain: bool) -> list[Chunk]:
        """Adds the wide ranges that differ while the source holds still; returns those to read again."""
        again: list[Chunk] = []
        for part, before in zip(_batches(self._wide), self._sums, strict=True):
            target = self._pair.target.checksums(self._pair.scope, part)
            after = self._pair.source.checksums(self._pair.scope, part)
            for chunk, first, copy, last in zip(part, before, target, after, strict=True):
                if copy in (first, last):
                    continue
                if certain and first == last:
                    differing.append(chunk)
                else:
                    again.append(chunk)
        return again


def _batches(chunks: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    for start in range(0, len(chunks), 64):
        yield chunks[start : start + 64]
