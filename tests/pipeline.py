"""The whole path, driven by tests as an operator drives it: apply, a lander process of its own, verify."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from connectors.rest import KafkaConnect
from connectors.supervisor import ConnectorSupervisor
from core.clients import clickhouse, mysql
from core.control import ControlDatabase
from core.settings import SAMPLE_JOBS, Endpoints, Settings
from schemas.catalog import Catalog, load
from switchboard.plan import plan as planning
from switchboard.stack.cli import plain
from tests import launching
from tests.launching import LAUNCHER, ROOT, Process
from tests.reporting import tail
from verify.engine import verify
from verify.results import TableResult

CONTRACTS = ROOT / "tests" / "contracts"


def eventually(check: Callable[[], Any], within: float = 60) -> Any:
    """Waits until `check` returns something true and returns it; fails with its last answer after `within`
    seconds."""
    started = time.monotonic()
    while True:
        answer = check()
        if answer:
            return answer
        _all_run()
        waited = time.monotonic() - started
        if waited > within:
            raise AssertionError(f"not within {within} s; the last answer was {answer!r}")
        time.sleep(0.1 if waited < 2 else 0.3)  # the processors are needed by what is waited for


RUNNING: dict[Process, Path] = {}
"""Processes that a test expects to run, each with its log: whatever waits for something ends with them."""


def _all_run() -> None:
    for process, log in RUNNING.items():
        if process.poll() is not None:
            raise AssertionError(f"process {log.stem} ended with status {process.returncode}:\n{tail(log)}")


@contextmanager
def expected(process: Process, log: Path) -> Iterator[Process]:
    """Ends the process with the block. Until then `eventually` fails at once if it has ended by itself."""
    RUNNING[process] = log
    try:
        yield process
    finally:
        del RUNNING[process]
        end(process)


@dataclass
class Pipeline:
    home: Path
    endpoints: Endpoints
    settings: Settings
    catalog: Catalog
    control: ControlDatabase
    contracts: Path = CONTRACTS
    jobs: str = SAMPLE_JOBS

    @cached_property
    def clickhouse(self) -> Client:
        return clickhouse.connect(self.endpoints.clickhouse)

    def sql(self, statement: str, *arguments: Any, database: str | None = None) -> list[tuple[Any, ...]]:
        with mysql.cursor(self.endpoints.mysql[0], database) as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall())

    def apply(self, *allowed: str) -> int:
        planners = planning.make_planners(self.endpoints, self.settings, self.catalog, self.control)
        return planning.apply(planners, frozenset(allowed), lambda step: None)

    def verify(self, *tables: str) -> list[TableResult]:
        return list(verify(self.endpoints, self.settings.landing.group, self.catalog.captured.select(tables)))

    def decided(self, *tables: str, shards: tuple[str, ...] = ()) -> list[TableResult]:
        """Verify's results (of these shards) once none is inconclusive: the pipeline may be behind a moment
        longer than verify waits."""
        found: list[TableResult] = []

        def all_decided() -> bool:
            found[:] = [result for result in self.verify(*tables) if not shards or result.shard in shards]
            for result in found:
                if result.answer == "inconclusive":
                    print(result.table, result.shard, result.answer, result.reason)
            return bool(found) and all(result.answer != "inconclusive" for result in found)

        eventually(all_decided, within=120)
        return found

    def equal(self, *tables: str, shards: tuple[str, ...] = ()) -> bool:
        """Whether verify finds every copy equal (in these shards); prints what is not, for the test's
        report."""
        different = [result for result in self.decided(*tables, shards=shards) if result.answer != "equal"]
        for result in different:
            print(result.table, result.shard, result.answer, result.differences[:3])
        return not different

    def heal(self) -> None:
        """Lets a supervisor restart what failed, until every connector runs."""
        connect = KafkaConnect(self.endpoints.connect)
        supervisor = ConnectorSupervisor(connect)

        def runs() -> bool:
            supervisor.poll()
            status = [connect.status(name) for name in connect.names()]
            return bool(status) and all(
                part["state"] == "RUNNING"
                for item in status
                for part in (item["connector"], *item["tasks"])
                if item["tasks"]
            )

        eventually(runs, within=120)

    def landed(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.clickhouse.query(query).result_rows]

    @property
    def environment(self) -> dict[str, str]:
        defaults = {
            "SWITCHBOARD_HOME": str(self.home),
            "SWITCHBOARD_CONTRACTS": str(self.contracts),
            "SWITCHBOARD_JOBS": self.jobs,
            "COLUMNS": "200",
        }
        if not (self.home / "state.json").exists():  # no local stack is there to ask
            defaults["SWITCHBOARD_ENDPOINTS"] = json.dumps(plain(self.endpoints))
        return {**os.environ, **defaults}

    def start_lander(self, **settings: str) -> Process:
        """With settings such as ``batch_rows="10"``."""
        return self.start(
            "lander",
            "land",
            **{f"SWITCHBOARD_LANDING__{name.upper()}": value for name, value in settings.items()},
        )

    def lander_log(self, *words: str) -> list[str]:
        """The lines of the landers' log that hold all of these words."""
        return self.log_lines("lander", *words)

    def log_lines(self, name: str, *words: str) -> list[str]:
        """The lines of this log that hold all of these words."""
        log = self.home / "logs" / f"{name}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if all(word in line for word in words)]

    def start(self, name: str, *words: str, **more: str) -> Process:
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            return LAUNCHER.start(words, {**self.environment, **more}, log)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`switchboard` as an operator runs it; what it printed, both streams as one."""
        return launching.run(words, self.environment)

    @contextmanager
    def watch(self, **more: str) -> Iterator[Process]:
        """The operator's watch beside the connectors: it starts again what fails."""
        process = self.start("watch", "connectors", "watch", "--every", "1", **more)
        with expected(process, self.home / "logs" / "watch.log"):
            yield process

    @contextmanager
    def lander(self, **settings: str) -> Iterator[Process]:
        process = self.start_lander(**settings)
        with expected(process, self.home / "logs" / "lander.log"):
            yield process


def end(process: Process) -> int:
    """SIGTERM, as an operator would; the exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return process.wait(60)


def make_pipeline(home: Path, endpoints: Endpoints) -> Pipeline:
    settings = Settings(home=home, contracts=str(CONTRACTS), jobs=SAMPLE_JOBS)
    control = ControlDatabase(endpoints.control_server, settings.control_database)
    control.migrate()
    return Pipeline(home, endpoints, settings, load(str(CONTRACTS)), control)
