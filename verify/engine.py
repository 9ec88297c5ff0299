"""Verifies tables: which shards there are, and one answer for each."""

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
from verify.marker import Marker, Pipeline, dead_letters
from verify.narrow import Narrowing, Options, Pair, Progress, Totals, first_look
from verify.results import Kind, TableResult
from verify.settle import Settled, recounted, settle
from verify.sides import ClickHouseSide, MySqlSide, open_clickhouse, open_mysql

DAY = dt.timedelta(days=1)
Markers = Callable[[MySqlSide, Table], Marker]
Watch = Callable[[Table, str], Progress]
"""Called as each shard of a table begins."""


def silent(_: Table, __: str) -> Progress:
    return lambda rows: None


@dataclass
class Engine:
    """Holds the connections to both sides; one thread only."""

    endpoints: Endpoints
    sources: tuple[MySqlSide, ...]
    target: ClickHouseSide
    markers: Markers
    options: Options = field(default_factory=Options)
    now: clock.Clock = clock.system

    def verify(self, tables: Iterable[Table], watch: Watch = silent) -> Iterator[TableResult]:
        """One result a shard, in the order of their names. A shard that cannot be read is unsettled, not an error."""
        for table in tables:
            homes = self._homes(table)
            if not homes:
                yield _result(table, "*").unsettled("no MySQL server has the table, and ClickHouse has no rows of it")
            for shard in sorted(homes):
                yield self._shard(table, shard, homes[shard], watch(table, shard))

    def verify_shard(self, table: Table, shard: str) -> TableResult:
        return self._shard(table, shard, self._homes(table).get(shard, []), silent(table, shard))

    def _homes(self, table: Table) -> dict[str, list[MySqlSide]]:
        """Shard -> the servers that have the table there: none if only ClickHouse has rows of it."""
        homes: dict[str, list[MySqlSide]] = {}
        if self.target.columns(table):
            homes = {shard: [] for shard in self.target.shards(table)}
        for source in self.sources:
            for database in source.databases_with(table):
                if table.source.holds(database):
                    homes.setdefault(database, []).append(source)
        return homes

    def _shard(self, table: Table, shard: str, homes: list[MySqlSide], progress: Progress) -> TableResult:
        try:
            return self._answer(table, shard, homes, progress)
        except SwitchboardError as error:
            return _result(table, shard).unsettled(error.what)

    def _answer(self, table: Table, shard: str, homes: list[MySqlSide], progress: Progress) -> TableResult:
        scope = Scope(table, shard, since=self._since(table))
        if len(homes) > 1:
            names = " and ".join(source.server.name for source in homes)
            return _result(table, shard).unsettled(f"database {shard!r} stands on servers {names}; its name must be unique")
        lacking = [name for name in table.names if name not in self.target.columns(table)]
        if lacking:
            return _result(table, shard).unsettled(f"ClickHouse lacks {_listed(lacking, table)}: run `switchboard apply`")
        if not homes:
            return self._dropped(scope)
        columns = homes[0].columns(table, shard)
        absent = frozenset(table.names) - columns
        if unfit := [name for name in absent if not table.column(name).nullable]:
            return _result(table, shard).unsettled(f"the source lacks required columns {', '.join(sorted(unfit))}")
        result = self._compared(Pair(homes[0], self.target, replace(scope, absent=absent)), progress)
        return replace(result, left_out=tuple(sorted(columns - frozenset(table.names))))

    def _since(self, table: Table) -> dt.date | None:
        """A day later than retention's own cutoff, so that it cannot drop what is being compared."""
        keep = table.clickhouse.keep_days
        today = dt.datetime.fromtimestamp(self.now(), dt.UTC).date()
        return None if keep is None else today - keep * DAY + DAY

    def _dropped(self, scope: Scope) -> TableResult:
        rows = self.target.count(scope)
        result = replace(_result(scope.table, scope.shard), rows_clickhouse=rows)
        if not rows:
            return result
        reason = (
            f"the source has no table {scope.shard}.{scope.table.name} any more; ClickHouse keeps {rows}; --repair --dropped deletes them"
        )
        return replace(result, answer="different", reason=reason, dropped=True)

    def _compared(self, pair: Pair, progress: Progress) -> TableResult:
        totals, suspects = first_look(pair, self.options, progress)
        settled = Settled()
        if suspects:
            marker = self.markers(pair.source, pair.scope.table)
            settled = settle(pair, Narrowing(pair, suspects, self.options), marker, self.options)
            if totals.rows_source != totals.rows_clickhouse and not any(_said(settled)):
                totals = recounted(pair, totals, suspects, marker, self.options, settled)
        result = _settled_result(pair.scope, totals, settled)
        if result.answer == "equal":
            return result
        aside = dead_letters(self.endpoints, pair.scope.table)
        return replace(result, reason=result.reason + (f"; {aside} dead letters of the table are kept" if aside else ""))


def _result(table: Table, shard: str) -> TableResult:
    return TableResult(table.name, shard, "equal", 0, 0, 0)


def _listed(lacking: list[str], table: Table) -> str:
    whole = len(lacking) == len(table.names)
    return f"table base.{table.name}" if whole else f"column {', '.join(lacking)} of base.{table.name}"


def _settled_result(scope: Scope, totals: Totals, settled: Settled) -> TableResult:
    result = TableResult(scope.table.name, scope.shard, "equal", totals.rows_source, totals.rows_clickhouse, totals.chunks)
    differences = tuple(settled.differences)
    wide = tuple((chunk.low, chunk.high) for chunk in settled.wide)
    said = list(_said(settled))
    if differences or wide:
        return replace(result, answer="different", differences=differences, wide=wide, reason="; ".join(said))
    return result.unsettled("; ".join(said)) if said else result


def _said(settled: Settled) -> Iterator[str]:
    kinds: tuple[Kind, ...] = ("missing in ClickHouse", "extra in ClickHouse", "differs")
    for kind in kinds:
        if count := sum(row.kind == kind for row in settled.differences):
            yield f"{count} {kind if kind != 'differs' else 'differ'}"
    if settled.wide:
        yield f"{len(settled.wide)} ranges differ and were too many to be narrowed"
    if settled.moving or settled.restless:
        what = f"{settled.moving} rows" if settled.moving else f"{settled.restless} ranges"
        yield f"{what} in doubt: {settled.reason or 'they changed at every look'}"
    if settled.miscounted:
        yield f"the counts differ in {settled.miscounted} ranges, though no row does: {settled.reason or 'at every look'}"


@contextmanager
def opened(endpoints: Endpoints, group: str, *, options: Options | None = None, markers: Markers | None = None) -> Iterator[Engine]:
    """An engine on a running pipeline whose landers are in `group`; its connections close at the end."""

    def pipeline(source: MySqlSide, table: Table) -> Marker:
        return Pipeline(endpoints, source, table, group)

    with ExitStack() as stack:
        sources = tuple(stack.enter_context(open_mysql(server)) for server in endpoints.mysql)
        target = stack.enter_context(open_clickhouse(endpoints.clickhouse))
        yield Engine(endpoints, sources, target, markers or pipeline, options or Options())


def verify(
    endpoints: Endpoints,
    group: str,
    tables: Iterable[Table],
    *,
    options: Options | None = None,
    watch: Watch = silent,
    markers: Markers | None = None,
) -> Iterator[TableResult]:
    """Verifies tables of a running pipeline whose landers are in `group`. Changes nothing."""
    with opened(endpoints, group, options=options, markers=markers) as engine:
        yield from engine.verify(tables, watch)
