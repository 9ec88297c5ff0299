"""Verifies tables: finds their shards and computes one result for each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from core import clock
from core.errors import SwitchboardError
from core.settings import Endpoints
from schemas.render.checksum import Scope
from schemas.table import Table
from verify.barrier import CatchUpBarrier, PipelineBarrier, dead_letters
from verify.bisect import Candidates, ComparisonPair, Options, Progress, Totals, scan
from verify.recheck import RecheckResult, recheck, recount
from verify.results import Kind, TableResult
from verify.sources import ClickHouseReader, MySqlReader, open_clickhouse, open_mysql

DAY = dt.timedelta(days=1)
Barriers = Callable[[MySqlReader, Table], CatchUpBarrier]
Watch = Callable[[Table, str], Progress]
"""Called at the start of each shard; returns the callback for its progress."""


def silent(_: Table, __: str) -> Progress:
    return lambda _: None


@dataclass
class Engine:
    """Holds the connections to both sides. Not thread-safe."""

    endpoints: Endpoints
    sources: tuple[MySqlReader, ...]
    target: ClickHouseReader
    barriers: Barriers
    options: Options = field(default_factory=Options)
    now: clock.Clock = clock.system

    def verify(self, tables: Iterable[Table], watch: Watch = silent) -> Iterator[TableResult]:
        """One result per shard, in the order of their names. Blocks.

        A shard that cannot be read is inconclusive and does not raise.
        """
        for table in tables:
            holders = self._holders(table)
            if not holders:
                yield _result(table, "*").inconclusive(
                    "no MySQL server has the table, and ClickHouse has no rows of it"
                )
            for shard in sorted(holders):
                yield self._shard(table, shard, holders[shard], watch(table, shard))

    def verify_shard(self, table: Table, shard: str) -> TableResult:
        return self._shard(table, shard, self._holders(table).get(shard, []), silent(table, shard))

    def _holders(self, table: Table) -> dict[str, list[MySqlReader]]:
        """Shard -> the servers that have the table in it: none if only ClickHouse has rows of it."""
        holders: dict[str, list[MySqlReader]] = {}
        if self.target.columns(table):
            holders = {shard: [] for shard in self.target.shards(table)}
        for source in self.sources:
            for database in source.databases_with(table):
                if table.source.matches(database):
                    holders.setdefault(database, []).append(source)
        return holders

    def _shard(self, table: Table, shard: str, holders: list[MySqlReader], progress: Progress) -> TableResult:
        try:
            return self._answer(table, shard, holders, progress)
        except SwitchboardError as error:
            return _result(table, shard).inconclusive(error.what)

    def _answer(
        self, table: Table, shard: str, holders: list[MySqlReader], progress: Progress
    ) -> TableResult:
        scope = Scope(table, shard, since=self._since(table))
        if len(holders) > 1:
            names = " and ".join(source.server.name for source in holders)
            return _result(table, shard).inconclusive(
                f"database {shard!r} exists on servers {names}; its name must be unique"
            )
        missing = [name for name in table.names if name not in self.target.columns(table)]
        if missing:
            return _result(table, shard).inconclusive(
                f"ClickHouse lacks {_listed(missing, table)}: run `switchboard apply`"
            )
        if not holders:
            return self._dropped(scope)
        columns = holders[0].columns(table, shard)
        absent = frozenset(table.names) - columns
        required = sorted(name for name in absent if not table.column(name).nullable)
        if required:
            return _result(table, shard).inconclusive(
                f"the source lacks required columns {', '.join(required)}"
            )
        result = self._compared(
            ComparisonPair(holders[0], self.target, replace(scope, absent=absent)), progress
        )
        return replace(result, uncompared_columns=tuple(sorted(columns - frozenset(table.names))))

    def _since(self, table: Table) -> dt.date | None:
        """One day after the retention cutoff, so that retention drops no rows during the comparison."""
        keep = table.clickhouse.keep_days
        today = dt.datetime.fromtimestamp(self.now(), dt.UTC).date()
        return None if keep is None else today - keep * DAY + DAY

    def _dropped(self, scope: Scope) -> TableResult:
        rows = self.target.count(scope)
        result = replace(_result(scope.table, scope.shard), rows_clickhouse=rows)
        if not rows:
            return result
        reason = (
            f"the source has no table {scope.shard}.{scope.table.name} any more; ClickHouse keeps {rows}; "
            "--repair --dropped deletes them"
        )
        return replace(result, answer="different", reason=reason, dropped=True)

    def _compared(self, pair: ComparisonPair, progress: Progress) -> TableResult:
        totals, mismatches = scan(pair, self.options, progress)
        rechecked = RecheckResult()
        if mismatches:
            barrier = self.barriers(pair.source, pair.scope.table)
            rechecked = recheck(pair, Candidates(pair, mismatches, self.options), barrier, self.options)
            if totals.rows_source != totals.rows_clickhouse and not any(_summary(rechecked)):
                totals = recount(pair, totals, mismatches, barrier, self.options, rechecked)
        result = _table_result(pair.scope, totals, rechecked)
        if result.answer == "equal":
            return result
        retained = dead_letters(self.endpoints, pair.scope.table)
        return replace(
            result,
            reason=result.reason + (f"; {retained} dead letters of the table are kept" if retained else ""),
        )


def _result(table: Table, shard: str) -> TableResult:
    return TableResult(table.name, shard, "equal", 0, 0, 0)


def _listed(missing: list[str], table: Table) -> str:
    whole = len(missing) == len(table.names)
    return f"table base.{table.name}" if whole else f"column {', '.join(missing)} of base.{table.name}"


def _table_result(scope: Scope, totals: Totals, rechecked: RecheckResult) -> TableResult:
    result = TableResult(
        scope.table.name, scope.shard, "equal", totals.rows_source, totals.rows_clickhouse, totals.chunks
    )
    differences = tuple(rechecked.differences)
    unresolved_ranges = tuple((chunk.low, chunk.high) for chunk in rechecked.unresolved_ranges)
    summary = "; ".join(_summary(rechecked))
    if differences or unresolved_ranges:
        return replace(
            result,
            answer="different",
            differences=differences,
            unresolved_ranges=unresolved_ranges,
            reason=summary,
        )
    return result.inconclusive(summary) if summary else result


def _summary(rechecked: RecheckResult) -> Iterator[str]:
    kinds: tuple[Kind, ...] = ("missing in ClickHouse", "extra in ClickHouse", "differs")
    for kind in kinds:
        if count := sum(row.kind == kind for row in rechecked.differences):
            yield f"{count} {kind if kind != 'differs' else 'differ'}"
    if rechecked.unresolved_ranges:
        yield f"{len(rechecked.unresolved_ranges)} ranges differ and were too many to be compared row by row"
    if rechecked.unstable_rows or rechecked.unstable_ranges:
        what = (
            f"{rechecked.unstable_rows} rows"
            if rechecked.unstable_rows
            else f"{rechecked.unstable_ranges} ranges"
        )
        yield f"{what} are inconclusive: {rechecked.reason or 'they changed in every round'}"
    if rechecked.count_mismatches:
        yield (
            f"the counts differ in {rechecked.count_mismatches} ranges, though no row does: "
            f"{rechecked.reason or 'in every round'}"
        )


@contextmanager
def opened(
    endpoints: Endpoints, group: str, *, options: Options | None = None, barriers: Barriers | None = None
) -> Iterator[Engine]:
    """An engine for a pipeline whose landers are in consumer group `group`.

    Closes its connections on exit.
    """

    def pipeline_barrier(source: MySqlReader, table: Table) -> CatchUpBarrier:
        return PipelineBarrier(endpoints, source, table, group)

    with ExitStack() as stack:
        sources = tuple(stack.enter_context(open_mysql(server)) for server in endpoints.mysql)
        target = stack.enter_context(open_clickhouse(endpoints.clickhouse))
        yield Engine(endpoints, sources, target, barriers or pipeline_barrier, options or Options())


def verify(
    endpoints: Endpoints,
    group: str,
    tables: Iterable[Table],
    *,
    options: Options | None = None,
    watch: Watch = silent,
    barriers: Barriers | None = None,
) -> Iterator[TableResult]:
    """Verifies tables of a running pipeline whose landers are in consumer group `group`.

    Changes nothing; blocks.
    """
    with opened(endpoints, group, options=options, barriers=barriers) as engine:
        yield from engine.verify(tables, watch)
