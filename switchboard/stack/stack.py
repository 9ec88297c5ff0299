"""Up, down, status: the local stack as a whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock
from pydantic import SecretStr

from core.errors import MisconfiguredError
from core.settings import (
    ClickHouseEndpoint,
    ConnectEndpoint,
    Endpoints,
    FlinkEndpoint,
    KafkaEndpoint,
    MySqlServer,
    RegistryEndpoint,
)
from flink_jobs.client import FlinkClient
from switchboard.stack import class_data, flink, jars, java, mysql, parts, plugins, seaweedfs, starting, state
from switchboard.stack.program import HOST, Program, Tools
from switchboard.stack.progress import Progress
from switchboard.stack.state import PortTakenError, State
from switchboard.stack.supervise import PartStatus, Supervisor

PORT_ATTEMPTS = 5
JARS = ("kafka", "debezium", "converter", "compiler", "registry")


def setup(home: Path, progress: Progress, artefacts: Path | None = None, wanted: Iterable[str] = parts.BASE) -> Tools:
    """Fetches what the wanted servers lack. Blocks on the network; safe to repeat and to kill."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise MisconfiguredError("the local stack runs on Linux x86-64 only", "use docker-compose.yml elsewhere")
    store = (artefacts or home / "artefacts").resolve()
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock", timeout=1800):
        jars.fetch(store, JARS, progress)
        runtime = java.find_or_fetch(store, progress)
        if any(name.startswith("flink") for name in wanted):
            flink.fetch(store, runtime, progress)
        converter = store / "jars" / "converter"
        plugins.build(plugins.CONVERTER, runtime, store / "jars", sorted(converter.glob("*.jar")), converter)
        return Tools(store, runtime, mysql.find_or_fetch(store, progress))


def up(home: Path, progress: Progress, wanted: tuple[str, ...] = parts.BASE, artefacts: Path | None = None) -> Endpoints:
    """Starts the wanted servers that do not run yet and blocks until each answers.

    A port that another process took in the meantime, as another stack that starts just now may, is replaced.
    """
    tools = setup(home, progress, artefacts, wanted)
    with FileLock(home / ".lock", timeout=300):
        for _ in range(PORT_ATTEMPTS - 1):
            try:
                return _bring_up(home, tools, wanted, progress)
            except PortTakenError as error:
                progress.say(f"  {error.what}; taking another")
                if error.part in parts.MAKERS:  # not supervisord, which is gone
                    stop_part(home, error.part)
        return _bring_up(home, tools, wanted, progress)


def _bring_up(home: Path, tools: Tools, wanted: tuple[str, ...], progress: Progress) -> Endpoints:
    running = frozenset(running_parts(home))
    held = {name for part in running for name in parts.PORTS_OF.get(part, ())} | ({"supervisor"} if running else set())
    chosen = state.prepare(home, frozenset(held), {*wanted, *running})
    supervisor = Supervisor(home, chosen)
    if not supervisor.alive():
        supervisor.launch()
    missing = [name for name in wanted if name not in running]
    kept = [parts.MAKERS[name](home, chosen, tools) for name in running]
    _start(home, chosen, tools, supervisor, missing, kept, progress)
    _store_class_data(home, tools, missing, progress)
    for name in set(wanted) & running:
        _wait(home, chosen, name)
    known = endpoints(home)
    if known.flink is not None:
        flink.client(home, tools.artefacts, tools.java, known.flink)
    return known


def _wait(home: Path, chosen: State, part: str, limit: float = 120) -> None:
    starting.wait(part, home, endpoints(home), tuple(chosen.ports[name] for name in parts.PORTS_OF.get(part, ())), limit)


def _start(
    home: Path,
    chosen: State,
    tools: Tools,
    supervisor: Supervisor,
    missing: list[str],
    kept: list[Program],
    progress: Progress,
) -> None:
    """Starts in waves: what needs nothing first, then what needs those."""
    while missing:
        wave = [name for name in missing if not set(parts.NEEDS.get(name, ())) & set(missing)]
        with ThreadPoolExecutor(len(wave)) as pool:
            programs = list(pool.map(lambda name: parts.MAKERS[name](home, chosen, tools), wave))
            supervisor.start(programs, kept)
            started = time.monotonic()
            for name, _ in zip(wave, pool.map(lambda name: _wait(home, chosen, name), wave), strict=True):
                progress.say(f"  {name} is up ({time.monotonic() - started:.1f} s)")
        kept = [*kept, *programs]
        missing = [name for name in missing if name not in wave]


def _store_class_data(home: Path, tools: Tools, started: list[str], progress: Progress) -> None:
    """Of the servers that have just started, those without an archive write theirs, for later starts."""
    files = {name: parts.archive_of(name, tools) for name in started if name in parts.JARS_OF}
    recording = {status.name: status.pid for status in statuses(home) if status.name in files and not files[status.name].exists()}
    if not recording or not class_data.is_possible(tools.java):
        return
    began = time.monotonic()
    with ThreadPoolExecutor(len(recording)) as pool:
        results = pool.map(lambda name: class_data.store(files[name], tools.java, recording[name]), recording)
        failures = {name: reason for name, reason in zip(recording, results, strict=True) if reason}
    for name, reason in failures.items():
        progress.say(f"  {name} goes without a class-data archive: {reason}")
    if not failures:
        progress.say(f"  later starts are quicker: classes stored ({time.monotonic() - began:.1f} s)")


def down(home: Path) -> None:
    """Stops everything; the data stays. Blocks until no process is left."""
    with FileLock(home / ".lock", timeout=300):
        chosen = state.load(home)
        Supervisor(home, chosen).shutdown()
        seaweedfs.remove_sockets(chosen)


def discard(home: Path) -> None:
    """Ends everything at once and removes its data; logs and what was fetched stay. Blocks until no process is left."""
    with FileLock(home / ".lock", timeout=300):
        chosen = state.load(home)
        Supervisor(home, chosen).kill()
        seaweedfs.remove_sockets(chosen)
        for folder in parts.FOLDERS:
            shutil.rmtree(home / folder, ignore_errors=True)
        (home / "state.json").unlink()


def flink_client(home: Path, at: FlinkEndpoint, artefacts: Path | None = None) -> FlinkClient:
    """Submits SQL to a Flink, by the environment that `setup --all` made."""
    store = (artefacts or home / "artefacts").resolve()
    return flink.client(home, store, java.find_or_fetch(store, Progress()), at)


def running_parts(home: Path) -> list[str]:
    return [part.name for part in statuses(home) if part.state in ("RUNNING", "STARTING", "BACKOFF")]


def statuses(home: Path) -> list[PartStatus]:
    if not (home / "state.json").exists():
        return []
    return Supervisor(home, state.load(home)).statuses()


def kill(home: Path, part: str) -> None:
    """SIGKILL, as a fault would; supervisord starts the part again."""
    for status in statuses(home):
        if status.name == part and status.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGKILL)


def stop_part(home: Path, part: str, *, at_once: bool = False) -> None:
    """Blocks until it has ended; it is not started again. `at_once`: by SIGKILL, as when its machine fails."""
    Supervisor(home, state.load(home)).stop_part(part, at_once=at_once)


def start_part(home: Path, part: str, limit: float = 120) -> None:
    """Blocks until the part answers."""
    Supervisor(home, state.load(home)).start_part(part)
    _wait(home, state.load(home), part, limit)


def log_of(home: Path, part: str) -> Path:
    return home / "logs" / f"{part}.log"


def endpoints(home: Path) -> Endpoints:
    """Where the stack's servers are. Raises MisconfiguredError if there has never been one in `home`."""
    chosen = state.load(home)
    port = chosen.ports

    def secret(name: str) -> SecretStr:
        return SecretStr(chosen.passwords[name])

    return Endpoints(
        mysql=(
            MySqlServer(
                name="main",
                host=HOST,
                port=port["mysql"],
                user="switchboard",
                password=secret("mysql_switchboard"),
                connect_password="${env:" + parts.CDC_PASSWORD + "}",
                keep_alive_seconds=parts.KEEP_ALIVE_SECONDS,
            ),
        ),
        kafka=KafkaEndpoint(bootstrap=f"{HOST}:{port['kafka']}"),
        registry=RegistryEndpoint(url=f"http://{HOST}:{port['registry']}"),
        connect=ConnectEndpoint(url=f"http://{HOST}:{port['connect']}", value_converter=plugins.CONVERTER.provider),
        clickhouse=ClickHouseEndpoint(
            host=HOST,
            http_port=port["clickhouse_http"],
            tcp_port=port["clickhouse_tcp"],
            user="switchboard",
            password=secret("clickhouse"),
        ),
        s3=seaweedfs.s3_endpoint(chosen) if "seaweedfs" in chosen.parts else None,
        lake=seaweedfs.lake_endpoint(chosen) if "seaweedfs" in chosen.parts else None,
        flink=flink.endpoint(chosen) if "flink-jobmanager" in chosen.parts else None,
    )
