"""The local stack as a whole: up, down, status."""

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
from switchboard.stack import (
    class_data,
    flink,
    jars,
    java,
    mysql,
    plugins,
    readiness,
    seaweedfs,
    services,
    state,
)
from switchboard.stack.program import HOST, Program, Toolchain
from switchboard.stack.progress import Progress
from switchboard.stack.state import PortTakenError, State
from switchboard.stack.supervisord import ServiceStatus, Supervisord

PORT_ATTEMPTS = 5
JARS = ("kafka", "debezium", "converter", "compiler", "registry")


def setup(
    home: Path, progress: Progress, artefacts: Path | None = None, wanted: Iterable[str] = services.BASE
) -> Toolchain:
    """Fetches missing packages of the wanted services. Blocks for the network; safe to repeat and to kill."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise MisconfiguredError(
            "the local stack runs on Linux x86-64 only", "use docker-compose.yml elsewhere"
        )
    store = (artefacts or home / "artefacts").resolve()
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock", timeout=1800):
        jars.fetch(store, JARS, progress)
        runtime = java.find_or_fetch(store, progress)
        if any(name.startswith("flink") for name in wanted):
            flink.fetch(store, runtime, progress)
        for plugin, folder in ((plugins.CONVERTER, "converter"), (plugins.DEBEZIUM, "debezium")):
            target = store / "jars" / folder
            plugins.remove_others(plugin, target)
            plugins.build(plugin, runtime, store / "jars", sorted(target.glob("*.jar")), target)
        return Toolchain(store, runtime, mysql.find_or_fetch(store, progress))


def up(
    home: Path, progress: Progress, wanted: tuple[str, ...] = services.BASE, artefacts: Path | None = None
) -> Endpoints:
    """Starts the wanted services that do not run, and blocks until each answers.

    A port that another process has taken meanwhile, such as a stack that starts at the same time, is
    replaced.
    """
    tools = setup(home, progress, artefacts, wanted)
    with FileLock(home / ".lock", timeout=300):
        for _ in range(PORT_ATTEMPTS - 1):
            try:
                return _bring_up(home, tools, wanted, progress)
            except PortTakenError as error:
                progress.report(f"  {error.what}; using another")
                if error.service in services.FACTORIES:  # not supervisord, which has ended
                    stop_service(home, error.service)
        return _bring_up(home, tools, wanted, progress)


def _bring_up(home: Path, tools: Toolchain, wanted: tuple[str, ...], progress: Progress) -> Endpoints:
    running = frozenset(running_services(home))
    held = {name for service in running for name in services.PORTS_OF.get(service, ())} | (
        {"supervisor"} if running else set()
    )
    current = state.prepare(home, frozenset(held), {*wanted, *running})
    supervisord = Supervisord(home, current)
    if not supervisord.alive():
        supervisord.launch()
    missing = [name for name in wanted if name not in running]
    existing = [services.FACTORIES[name](home, current, tools) for name in running]
    _start(home, current, tools, supervisord, missing, existing, progress)
    _store_class_data(home, tools, missing, progress)
    for name in set(wanted) & running:
        _wait(home, current, name)
    known = endpoints(home)
    if known.flink is not None:
        flink.client(home, tools.artefacts, tools.java, known.flink)
    return known


def _wait(home: Path, current: State, service: str, limit: float = 120) -> None:
    readiness.wait(
        service,
        home,
        endpoints(home),
        tuple(current.ports[name] for name in services.PORTS_OF.get(service, ())),
        limit,
    )


def _start(
    home: Path,
    current: State,
    tools: Toolchain,
    supervisord: Supervisord,
    missing: list[str],
    existing: list[Program],
    progress: Progress,
) -> None:
    """Starts services in the order of their dependencies, independent ones in parallel."""
    while missing:
        wave = [name for name in missing if not set(services.DEPENDENCIES.get(name, ())) & set(missing)]
        with ThreadPoolExecutor(len(wave)) as pool:
            programs = list(pool.map(lambda name: services.FACTORIES[name](home, current, tools), wave))
            supervisord.start(programs, existing)
            started = time.monotonic()
            for name, _ in zip(wave, pool.map(lambda name: _wait(home, current, name), wave), strict=True):
                progress.report(f"  {name} is up ({time.monotonic() - started:.1f} s)")
        existing = [*existing, *programs]
        missing = [name for name in missing if name not in wave]


def _store_class_data(home: Path, tools: Toolchain, started: list[str], progress: Progress) -> None:
    """Stores the class data of started services without an archive, for later starts."""
    files = {name: services.archive_of(name, tools) for name in started if name in services.JARS_OF}
    recording = {
        status.name: status.pid
        for status in statuses(home)
        if status.name in files and not files[status.name].exists()
    }
    if not recording or not class_data.is_possible(tools.java):
        return
    began = time.monotonic()
    with ThreadPoolExecutor(len(recording)) as pool:
        results = pool.map(lambda name: class_data.store(files[name], tools.java, recording[name]), recording)
        failures = {name: reason for name, reason in zip(recording, results, strict=True) if reason}
    for name, reason in failures.items():
        progress.report(f"  {name} has no class-data archive: {reason}")
    if not failures:
        progress.report(f"  class data is stored, for faster starts ({time.monotonic() - began:.1f} s)")


def down(home: Path) -> None:
    """Stops all services; their data stays. Blocks until no process is left."""
    with FileLock(home / ".lock", timeout=300):
        current = state.load(home)
        Supervisord(home, current).shutdown()
        seaweedfs.remove_sockets(current)


def discard(home: Path) -> None:
    """Kills all services and removes their data; logs and fetched packages stay.

    Blocks until no process is left.
    """
    with FileLock(home / ".lock", timeout=300):
        current = state.load(home)
        Supervisord(home, current).kill()
        seaweedfs.remove_sockets(current)
        for folder in services.FOLDERS:
            shutil.rmtree(home / folder, ignore_errors=True)
        (home / "state.json").unlink()


def flink_client(home: Path, at: FlinkEndpoint, artefacts: Path | None = None) -> FlinkClient:
    """Returns a client that submits SQL to Flink, with the environment of `setup --all`."""
    store = (artefacts or home / "artefacts").resolve()
    return flink.client(home, store, java.find_or_fetch(store, Progress()), at)


def running_services(home: Path) -> list[str]:
    return [service.name for service in statuses(home) if service.state in ("RUNNING", "STARTING", "BACKOFF")]


def statuses(home: Path) -> list[ServiceStatus]:
    if not (home / "state.json").exists():
        return []
    return Supervisord(home, state.load(home)).statuses()


def kill(home: Path, service: str) -> None:
    """Sends SIGKILL to the service; supervisord restarts it."""
    for status in statuses(home):
        if status.name == service and status.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGKILL)


def stop_service(home: Path, service: str, *, at_once: bool = False) -> None:
    """Stops the service, which is not restarted; `at_once` by SIGKILL. Blocks until it has ended."""
    Supervisord(home, state.load(home)).stop_service(service, at_once=at_once)


def start_service(home: Path, service: str, limit: float = 120) -> None:
    """Starts the service and blocks until it answers."""
    Supervisord(home, state.load(home)).start_service(service)
    _wait(home, state.load(home), service, limit)


def endpoints(home: Path) -> Endpoints:
    """Returns the stack's endpoints. Raises MisconfiguredError if there has never been a stack in `home`."""
    current = state.load(home)
    port = current.ports

    def secret(name: str) -> SecretStr:
        return SecretStr(current.passwords[name])

    return Endpoints(
        mysql=(
            MySqlServer(
                name="main",
                host=HOST,
                port=port["mysql"],
                user="switchboard",
                password=secret("mysql_switchboard"),
                connect_password="${env:" + services.CDC_PASSWORD + "}",
                keep_alive_seconds=services.KEEP_ALIVE_SECONDS,
            ),
        ),
        kafka=KafkaEndpoint(bootstrap=f"{HOST}:{port['kafka']}"),
        registry=RegistryEndpoint(url=f"http://{HOST}:{port['registry']}"),
        connect=ConnectEndpoint(
            url=f"http://{HOST}:{port['connect']}", value_converter=plugins.VALUE_CONVERTER
        ),
        clickhouse=ClickHouseEndpoint(
            host=HOST,
            http_port=port["clickhouse_http"],
            tcp_port=port["clickhouse_tcp"],
            user="switchboard",
            password=secret("clickhouse"),
        ),
        s3=seaweedfs.s3_endpoint(current) if "seaweedfs" in current.services else None,
        lake=seaweedfs.lake_endpoint(current) if "seaweedfs" in current.services else None,
        flink=flink.endpoint(current) if "flink-jobmanager" in current.services else None,
    )
