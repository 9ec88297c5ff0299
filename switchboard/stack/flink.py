"""Flink: a session cluster of one JobManager and one TaskManager, in a Python environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.errors import MisconfiguredError, TransientError
from core.settings import FlinkEndpoint
from switchboard.stack import jars
from switchboard.stack.program import HOST, Program, Tools
from switchboard.stack.progress import Progress
from switchboard.stack.state import State, write_private

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "flink.txt"
JARS = ("flink",)
SLOTS = 4


RUNNER = Path(__file__).parents[2] / "flink_jobs" / "runner.py"


@dataclass(frozen=True)
class FlinkClient:
    """Submits SQL to a cluster, by a process in Flink's environment."""

    python: Path
    environment: dict[str, str]
    settings: dict[str, str]

    def run(self, statements: Sequence[str], settings: Mapping[str, str] | None = None, limit: float = 300) -> list[dict[str, Any]]:
        """The runner's answer to each statement. Blocks until queries have given their last row.

        Raises MisconfiguredError with Flink's reason if a statement fails.
        """
        request = {"settings": {**self.settings, **(settings or {})}, "statements": list(statements)}
        environment = {**os.environ, **self.environment}
        command = [str(self.python), str(RUNNER)]
        done = subprocess.run(
            command, input=json.dumps(request), env=environment, capture_output=True, text=True, timeout=limit, check=False
        )
        answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode == 0:
            return answers
        if not answers or "error" not in answers[-1]:
            raise TransientError(f"Flink's client failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
        raise MisconfiguredError(f"Flink refuses statement {len(answers)}: {answers[-1]['error']}")


def fetch(artefacts: Path, progress: Progress) -> None:
    """Makes Flink's environment and brings its jars. Blocks on the network; safe to repeat and to kill."""
    jars.fetch(artefacts, JARS, progress)
    folder = artefacts / "flink-venv"
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if (folder / ".complete").exists() and (folder / ".complete").read_text() == stamp:
        return
    progress.say("  fetching Flink")
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise MisconfiguredError("uv is missing to make Flink's environment", "run `make setup`")
    _run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "sync", "-q", "--require-hashes", "--python", str(folder / "bin" / "python"), str(REQUIREMENTS)])
    (folder / ".complete").write_text(stamp)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode != 0:
        detail = (done.stderr.strip() or "no message").splitlines()[-1]
        raise TransientError(f"Flink's environment cannot be made: {detail}", "check the network and disk, try again")


def _home(artefacts: Path) -> Path:
    """Flink's distribution, as the package ``apache-flink`` lays it out."""
    return next((artefacts / "flink-venv").resolve().glob("lib/python3*/site-packages/pyflink"))


def client(home: Path, artefacts: Path, java: Path, at: FlinkEndpoint) -> FlinkClient:
    """Submits to the cluster whose REST API is `at`; its own files are under `home`."""
    artefacts = artefacts.resolve()
    python = artefacts / "flink-venv" / "bin" / "python"
    place = urlsplit(at.url)
    settings = {
        "execution.target": "remote",
        "rest.address": place.hostname or HOST,
        "rest.port": str(place.port or 80),
        "table.local-time-zone": "UTC",
    }
    conf = _configure(home, "client", {**settings, "python.client.executable": python, "env.java.opts.all": _java_options(python)})
    return FlinkClient(python, {**_environment(home, artefacts, java), "FLINK_CONF_DIR": str(conf)}, settings)


def jobmanager(home: Path, state: State, tools: Tools) -> Program:
    return _program("flink-jobmanager", home, state, tools)


def taskmanager(home: Path, state: State, tools: Tools) -> Program:
    return _program("flink-taskmanager", home, state, tools)


def _program(name: str, home: Path, state: State, tools: Tools) -> Program:
    kind = name.removeprefix("flink-")
    python = tools.artefacts / "flink-venv" / "bin" / "python"
    conf = _configure(home, kind, _settings((home / "flink").resolve(), state, python))
    script = _home(tools.artefacts) / "bin" / f"{kind}.sh"
    environment = {**_environment(home, tools.artefacts, tools.java), "FLINK_CONF_DIR": str(conf)}
    return Program(name, ("/bin/bash", str(script), "start-foreground"), (home / "flink").resolve(), environment)


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
    """The distribution's jars and ours in one folder, without touching the package."""
    for name in ("log", "pid", "lib", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    libraries = folder / "lib"
    wanted = {jar.name: jar for place in (distribution / "lib", artefacts.resolve() / "jars" / "flink") for jar in place.glob("*.jar")}
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
        "taskmanager.memory.process.size": "1400m",
        "taskmanager.numberOfTaskSlots": SLOTS,
        "parallelism.default": 1,
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
    }


def _java_options(python: Path) -> str:
    """The module options that the distribution's own configuration gives to a Java of 17 or newer."""
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
