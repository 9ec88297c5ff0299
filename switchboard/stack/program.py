"""A process of the local stack, and what JVM processes have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from switchboard.stack.mysql import MySqlProgram
from switchboard.stack.state import State

HOST = "127.0.0.1"
C1_ONLY = "-XX:TieredStopAtLevel=1"
"""For all JVMs but Flink's TaskManager: HotSpot's second compiler would take CPU from the other servers'
starts, and benchmarks of landing and lag show no difference later."""


@dataclass(frozen=True)
class Program:
    """One process. `environment` may hold secrets; the command line never does."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    stop_seconds: int = 30
    """Time from SIGTERM to SIGKILL."""


@dataclass(frozen=True)
class Toolchain:
    """The fetched packages, and the programs to run them with."""

    artefacts: Path
    java: Path
    mysql: MySqlProgram


Factory = Callable[[Path, State, Toolchain], Program]


def java_command(tools: Toolchain, folders: tuple[str, ...], heap: str, *arguments: str) -> tuple[str, ...]:
    """Returns a JVM's command line with the jars of these folders; `heap` such as ``640m``."""
    classpath = ":".join(str((tools.artefacts / "jars" / name).resolve() / "*") for name in folders)
    return (
        str(tools.java),
        C1_ONLY,
        f"-Xmx{heap}",
        "-Xms128m",
        "-XX:+ExitOnOutOfMemoryError",
        "-cp",
        classpath,
        *arguments,
    )


def log4j(folder: Path) -> str:
    """Writes the logging configuration to the folder, and returns the JVM option for it."""
    text = (
        "appender.out.type = Console\nappender.out.name = out\nappender.out.layout.type = PatternLayout\n"
        "appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n\n"
        "rootLogger.level = WARN\nrootLogger.appenderRef.out.ref = out\n"
        "logger.debezium.name = io.debezium\nlogger.debezium.level = INFO\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(text)
    return f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').resolve()}"


def properties(values: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
