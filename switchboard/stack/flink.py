"""Flink: a session cluster of one JobManager and one TaskManager, in a Python environment of its own."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from core.errors import MisconfiguredError, TransientError
from core.settings import FlinkEndpoint
from flink_jobs import client as flink_client
from flink_jobs.client import FlinkClient
from switchboard.stack import jars, plugins
from switchboard.stack.program import C1_ONLY, HOST, Program, Toolchain
from switchboard.stack.progress import Progress
from switchboard.stack.state import State, write_private

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "flink.txt"
JARS = ("flink",)
SLOTS = 8
STATE = {
    "state.backend.type": "rocksdb",
    "execution.checkpointing.incremental": "true",
    "execution.checkpointing.num-retained": "2",
}
"""Settings that docker-compose.yml has too."""


def fetch(artefacts: Path, java: Path, progress: Progress) -> None:
    """Creates Flink's environment, fetches its jars and compiles this project's.

    Blocks for the network; safe to repeat and to kill.
    """
    jars.fetch(artefacts, JARS, progress)
    _make_environment(artefacts, progress)
    ours = artefacts / "jars" / "flink"
    libraries = [*(_home(artefacts) / "lib").glob("*.jar"), *ours.glob("*.jar")]
    for plugin in (plugins.FORMAT, plugins.FUNCTIONS):
        plugins.build(plugin, java, artefacts / "jars", libraries, ours)


def _make_environment(artefacts: Path, progress: Progress) -> None:
    folder = artefacts / "flink-venv"
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if (folder / ".complete").exists() and (folder / ".complete").read_text() == stamp:
        return
    progress.report("  fetching Flink")
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise MisconfiguredError("uv, which creates Flink's environment, is missing", "run `make setup`")
    _run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
    _run(
        [
            uv,
            "pip",
            "sync",
            "-q",
            "--require-hashes",
            "--python",
            str(folder / "bin" / "python"),
            str(REQUIREMENTS),
        ]
    )
    (folder / ".complete").write_text(stamp)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode != 0:
        detail = (done.stderr.strip() or "no message").splitlines()[-1]
        raise TransientError(
            f"Flink's environment cannot be created: {detail}", "check the network and disk, try again"
        )


def _home(artefacts: Path) -> Path:
    """Flink's distribution, as the package ``apache-flink`` lays it out."""
    return next((artefacts / "flink-venv").resolve().glob("lib/python3*/site-packages/pyflink"))


def client(home: Path, artefacts: Path, java: Path, at: FlinkEndpoint) -> FlinkClient:
    """Returns a client of the cluster `at`.

    Writes its process's settings under `home`, where `flink_jobs.client.load` reads them.
    """
    artefacts = artefacts.resolve()
    python = artefacts / "flink-venv" / "bin" / "python"
    options = f"{_java_options(python)} {C1_ONLY} -XX:+UseSerialGC"
    conf = _configure(home, "client", {"python.client.executable": python, "env.java.opts.all": options})
    environment = {**_environment(home, artefacts, java), "FLINK_CONF_DIR": str(conf)}
    write_private(home / flink_client.FILE, json.dumps({"python": str(python), "environment": environment}))
    return flink_client.make(python, environment, at)


def jobmanager(home: Path, state: State, tools: Toolchain) -> Program:
    return _program("flink-jobmanager", home, state, tools)


def taskmanager(home: Path, state: State, tools: Toolchain) -> Program:
    return _program("flink-taskmanager", home, state, tools)


def _program(name: str, home: Path, state: State, tools: Toolchain) -> Program:
    kind = name.removeprefix("flink-")
    python = tools.artefacts / "flink-venv" / "bin" / "python"
    conf = _configure(home, kind, _settings((home / "flink").resolve(), state, python))
    script = _home(tools.artefacts) / "bin" / f"{kind}.sh"
    environment = {**_environment(home, tools.artefacts, tools.java), "FLINK_CONF_DIR": str(conf)}
    return Program(
        name, ("/bin/bash", str(script), "start-foreground"), (home / "flink").resolve(), environment
    )


def _environment(home: Path, artefacts: Path, java: Path) -> dict[str, str]:
    folder = (home / "flink").resolve()
    distribution = _home(artefacts)
    return {
        "FLINK_HOME": str(distribution),
        "FLINK_LIB_DIR": str(_libraries(folder, distribution, artefacts)),
        "FLINK_LOG_DIR": str(folder / "log"),
        "FLINK_PID_DIR": str(folder / "pid"),
        "JAVA_HOME": str(java.resolve().parents[1]),
    }


def _libraries(folder: Path, distribution: Path, artefacts: Path) -> Path:
    """Links the distribution's and this project's jars into one folder, without changing the package."""
    for name in ("log", "pid", "lib", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    libraries = folder / "lib"
    folders = (distribution / "lib", artefacts.resolve() / "jars" / "flink")
    wanted = {jar.name: jar for source in folders for jar in source.glob("*.jar")}
    for stale in libraries.iterdir():
        if stale.name not in wanted or stale.resolve() != wanted[stale.name].resolve():
            stale.unlink()
    for name, jar in wanted.items():
        if not (libraries / name).exists():
            (libraries / name).symlink_to(jar)
    return libraries


def _configure(home: Path, kind: str, settings: Mapping[str, object]) -> Path:
    conf = (home / "flink").resolve() / "conf" / kind
    text = "".join(f"{name}: {value}\n" for name, value in settings.items())
    write_private(conf / "config.yaml", text)
    level = "WARN" if kind == "client" else "INFO"
    for name in ("log4j-console.properties", "log4j-cli.properties"):
        (conf / name).write_text(f"rootLogger.level = {level}\n{_LOGGING}")
    return conf


def _settings(folder: Path, state: State, python: Path) -> dict[str, object]:
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": state.ports["flink_rpc"],
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.process.size": "1024m",
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.memory.process.size": "2600m",
        "taskmanager.numberOfTaskSlots": SLOTS,
        "parallelism.default": 1,
        **STATE,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": state.ports["flink"],
        "rest.bind-port": state.ports["flink"],
        "io.tmp.dirs": folder / "tmp",
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (folder / "savepoints").as_uri(),
        "execution.target": "remote",
        "python.executable": python,
        "table.local-time-zone": "UTC",
        "env.java.opts.all": _java_options(python),
        "env.java.opts.jobmanager": C1_ONLY,
    }


def _java_options(python: Path) -> str:
    """Returns the module options of the distribution's own configuration for Java 17 or newer."""
    shipped = next(python.parents[1].glob("lib/python3*/site-packages/pyflink/conf/config.yaml")).read_text()
    found = re.search(r"^\s+all: (--add-.*)$", shipped, re.M)
    return found.group(1) if found else ""


_LOGGING = """rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1} %m%n
"""


def endpoint(state: State) -> FlinkEndpoint:
    return FlinkEndpoint(url=f"http://{HOST}:{state.ports['flink']}")
