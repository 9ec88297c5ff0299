"""Up, down, status: the local stack as a whole."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock
from pydantic import SecretStr

from core.errors import MisconfiguredError
from core.settings import (
    ClickHouseEndpoint,
    ConnectEndpoint,
    Endpoints,
    KafkaEndpoint,
    MySqlServer,
    RegistryEndpoint,
)
from switchboard.stack import health, jars, java, mysql, parts, state
from switchboard.stack.progress import Progress
from switchboard.stack.state import State
from switchboard.stack.supervise import PartStatus, Supervisor

JARS = ("kafka", "debezium", "converter", "registry")


def setup(home: Path, progress: Progress, artefacts: Path | None = None) -> parts.Tools:
    """Fetches what is missing. Blocks on the network; safe to repeat and to kill."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise MisconfiguredError("the local stack runs on Linux x86-64 only", "use docker-compose.yml elsewhere")
    store = (artefacts or home / "artefacts").resolve()
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock", timeout=1800):
        jars.fetch(store, JARS, progress)
        return parts.Tools(store, java.find_or_fetch(store, progress), mysql.find_or_fetch(store, progress))


def up(home: Path, progress: Progress, wanted: tuple[str, ...] = parts.BASE, artefacts: Path | None = None) -> Endpoints:
    """Starts the wanted servers that do not run yet and blocks until each answers."""
    tools = setup(home, progress, artefacts)
    with FileLock(home / ".lock", timeout=300):
        running = frozenset(running_parts(home))
        held = {name for part in running for name in parts.PORTS_OF.get(part, ())} | ({"supervisor"} if running else set())
        chosen = state.prepare(home, frozenset(held))
        supervisor = Supervisor(home, chosen)
        if not supervisor.alive():
            supervisor.launch()
        missing = [name for name in wanted if name not in running]
        kept = [parts.MAKERS[name](home, chosen, tools) for name in running]
        _start(home, chosen, tools, supervisor, missing, kept, progress)
        for name in set(wanted) & running:
            health.wait(name, endpoints(home), log_of(home, name))
    return endpoints(home)


def _start(
    home: Path,
    chosen: State,
    tools: parts.Tools,
    supervisor: Supervisor,
    missing: list[str],
    kept: list[parts.Program],
    progress: Progress,
) -> None:
    """Starts in waves: what needs nothing first, then what needs those."""
    where = endpoints(home)
    while missing:
        wave = [name for name in missing if not set(parts.NEEDS.get(name, ())) & set(missing)]
        with ThreadPoolExecutor(len(wave)) as pool:
            programs = list(pool.map(lambda name: parts.MAKERS[name](home, chosen, tools), wave))
            supervisor.start(programs, kept)
            started = time.monotonic()
            for name, _ in zip(wave, pool.map(lambda name: health.wait(name, where, log_of(home, name)), wave), strict=True):
                progress.say(f"  {name} is up ({time.monotonic() - started:.1f} s)")
        kept = [*kept, *programs]
        missing = [name for name in missing if name not in wave]


def down(home: Path) -> None:
    """Stops everything; the data stays. Blocks until no process is left."""
    with FileLock(home / ".lock", timeout=300):
        Supervisor(home, state.load(home)).shutdown()


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


def stop_part(home: Path, part: str) -> None:
    Supervisor(home, state.load(home)).stop_part(part)


def start_part(home: Path, part: str, limit: float = 120) -> None:
    """Blocks until the part answers."""
    Supervisor(home, state.load(home)).start_part(part)
    health.wait(part, endpoints(home), log_of(home, part), limit)


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
                host=parts.HOST,
                port=port["mysql"],
                user="switchboard",
                password=secret("mysql_switchboard"),
                connect_password="${env:" + parts.CDC_PASSWORD + "}",
            ),
        ),
        kafka=KafkaEndpoint(bootstrap=f"{parts.HOST}:{port['kafka']}"),
        registry=RegistryEndpoint(url=f"http://{parts.HOST}:{port['registry']}"),
        connect=ConnectEndpoint(url=f"http://{parts.HOST}:{port['connect']}"),
        clickhouse=ClickHouseEndpoint(
            host=parts.HOST,
            http_port=port["clickhouse_http"],
            tcp_port=port["clickhouse_tcp"],
            user="switchboard",
            password=secret("clickhouse"),
        ),
    )
