"""The race: one filled topic, landed in turn by each way, over several rounds in alternating order."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from statistics import median
from typing import Any

import psutil
from clickhouse_connect.driver.client import Client

from benchmarks import ways, workload
from core.clients import clickhouse
from core.control import ControlDatabase
from core.errors import TransientError
from core.settings import Endpoints
from schemas.names import topic_of
from schemas.render import clickhouse as render

SWITCHBOARD_CONNECTOR, ENGINE, DECODER = (
    "this lander",
    "ClickHouse's Kafka engine",
    "AvroDeserializer + inserts",
)
LIMIT_SECONDS = 900.0
POLL_SECONDS = 0.05
QUIET_SECONDS = 2.0

Running = Callable[[], AbstractContextManager[list[tuple[float, float]]]]


@dataclass(frozen=True)
class Lap:
    """One landing of `rows`.

    `steady` leaves out all before the first block was seen: joining the group, schema, warming up.
    """

    way: str
    round: int
    rows: int
    seconds: float
    rows_per_second: float
    steady: float | None
    python_cpu: float
    python_peak_mb: float
    clickhouse_cpu: float
    load_before: float


class Race:
    """Blocks; everything it makes is named ``bench_landing`` and gone at the end."""

    def __init__(self, endpoints: Endpoints, control_name: str, clickhouse_pid: int, rows: int) -> None:
        self._endpoints = endpoints
        self._control_name = control_name
        self._control = ControlDatabase(endpoints.control_server, control_name)
        self._control.migrate()
        self._server = psutil.Process(clickhouse_pid)
        self._rows = rows
        self._table = workload.contract("bench_landing")
        self._landing: BaseProcess | None = None

    def run(self, rounds: int, report: Callable[[str], None]) -> list[Lap]:
        workload.make_topic(self._endpoints, self._control, self._table)
        try:
            seconds = workload.fill(self._endpoints, topic_of(self._table), self._rows)
            report(f"filled {topic_of(self._table)} with {self._rows:,} records in {seconds:.1f} s")
            return [self._lap(way, number, report) for number in range(rounds) for way in _order(number)]
        finally:
            workload.drop(self._endpoints, self._control, self._table)

    def _lap(self, way: str, number: int, report: Callable[[str], None]) -> Lap:
        workload.make_table(self._endpoints, self._table)
        client = clickhouse.connect(self._endpoints.clickhouse)
        wanted = max(self._rows // 10, 2 * ways.BLOCK) if way == DECODER else self._rows
        time.sleep(QUIET_SECONDS)
        load, cpu = psutil.cpu_percent(0.5), self._server.cpu_times()
        with self._running(way)() as used:
            started = time.monotonic()
            first, last = self._until(client, wanted, started)
        seconds, landed = last[0] - started, last[1]
        after = self._server.cpu_times()
        self._prove(client, landed if way == DECODER else self._rows, exact=way != DECODER)
        steady = (landed - first[1]) / (last[0] - first[0]) if landed - first[1] >= 0.4 * landed else None
        usage = used[0] if used else (0.0, 0.0)
        served = after.user + after.system - cpu.user - cpu.system
        lap = Lap(way, number + 1, landed, seconds, landed / seconds, steady, *usage, served, load)
        report(
            f"round {lap.round}, {way}: {lap.rows:,} rows, {lap.rows_per_second:,.0f} rows/s, CPU busy "
            f"before {load:.0f}%"
        )
        return lap

    def _running(self, way: str) -> Running:
        if way == ENGINE:
            return self._in_server
        return lambda: self._in_process(ways.land if way == SWITCHBOARD_CONNECTOR else ways.decode)

    @contextmanager
    def _in_server(self) -> Any:
        _, schema = workload.register(self._endpoints, topic_of(self._table))
        with ways.engine(self._endpoints, self._table, schema):
            yield []

    @contextmanager
    def _in_process(self, target: Callable[..., None]) -> Any:
        """Spawned, not forked: memory and threads are its own."""
        context = multiprocessing.get_context("spawn")
        ready, stop, queue = context.Event(), context.Event(), context.Queue()
        process = context.Process(
            target=target, args=(self._endpoints, self._control_name, self._table, ready, stop, queue)
        )
        process.start()
        self._landing = process
        ready.wait(60)
        used: list[tuple[float, float]] = []
        try:
            yield used
            stop.set()
            used.append(queue.get(timeout=60))
        finally:
            stop.set()
            process.join(60)
            if process.is_alive():
                process.kill()
            self._landing = None

    def _until(
        self, client: Client, wanted: int, started: float
    ) -> tuple[tuple[float, int], tuple[float, int]]:
        """((when, rows) first seen, (when, rows) at the end).

        Raises TransientError as soon as the process that lands has ended.
        """
        first: tuple[float, int] | None = None
        while time.monotonic() - started < LIMIT_SECONDS:
            count = int(
                client.query(f"SELECT count() FROM {render.storage_table(self._table)}").result_rows[0][0]
            )
            now = time.monotonic()
            if count and first is None:
                first = (now, count)
            if count >= wanted and first is not None:
                return first, (now, count)
            if self._landing is not None and self._landing.exitcode is not None:
                what = (
                    f"the process that lands ended with status {self._landing.exitcode} after {count:,} of "
                    f"{wanted:,} records"
                )
                raise TransientError(what, "its last lines are above")
            time.sleep(POLL_SECONDS)
        raise TransientError(
            f"not all of {wanted:,} records landed in {LIMIT_SECONDS:.0f} s", "see the servers' logs"
        )

    def _prove(self, client: Client, rows: int, *, exact: bool) -> None:
        """Every record is there, none twice: a race that loses rows is not won."""
        distinct = int(
            client.query(
                f"SELECT uniqExact(_partition, _offset) FROM {render.storage_table(self._table)}"
            ).result_rows[0][0]
        )
        if distinct < rows or (exact and distinct != rows):
            raise TransientError(f"{distinct:,} of {rows:,} records landed", "see the lander's log")


def _order(number: int) -> list[str]:
    entered = [SWITCHBOARD_CONNECTOR, ENGINE, DECODER]
    return entered if number % 2 == 0 else entered[::-1]


def medians(laps: list[Lap]) -> dict[str, dict[str, float]]:
    """Way -> the median of each figure, and how many times as fast ours was, round by round."""
    found: dict[str, dict[str, float]] = {}
    ours = {lap.round: lap.rows_per_second for lap in laps if lap.way == SWITCHBOARD_CONNECTOR}
    for way in dict.fromkeys(lap.way for lap in laps):
        usage = [lap for lap in laps if lap.way == way]
        names = ("rows", "seconds", "rows_per_second", "python_cpu", "python_peak_mb", "clickhouse_cpu")
        found[way] = {name: median(getattr(lap, name) for lap in usage) for name in names}
        found[way]["ours_to_this"] = median(ours[lap.round] / lap.rows_per_second for lap in usage)
        steady = [lap.steady for lap in usage if lap.steady is not None]
        if steady:
            found[way]["steady"] = median(steady)
    return found
