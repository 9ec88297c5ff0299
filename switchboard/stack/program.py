"""What one process of the local stack is, and what the JVM ones have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from switchboard.stack.mysql import MySqlProgram
from switchboard.stack.state import State

HOST = "127.0.0.1"
UNHURRIED = "-XX:TieredStopAtLevel=1"
"""For all Java but Flink's TaskManager: HotSpot's second compiler would take the cores from the others while they start, and a
benchmark of landing or of lag finds no difference later."""


@dataclass(frozen=True)
class Program:
    """One process. `environment` may hold secrets; the command line never does."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    stop_seconds: int = 30
    """So long after SIGTERM it is killed."""


@dataclass(frozen=True)
class Tools:
    artefacts: Path
    java: Path
    mysql: MySqlProgram


Make = Callable[[Path, State, Tools], Program]


def java_command(tools: Tools, folders: tuple[str, ...], heap: str, *arguments: str) -> tuple[str, ...]:
    classpath = ":".join(str((tools.artefacts / "jars" / name).resolve() / "*") for name in folders)
    return (str(tools.java), UNHURRIED, f"-Xmx{heap}", "-Xms128m", "-XX:+ExitOnOutOfMemoryError", "-cp", classpath, *arguments)


def log4j(folder: Path) -> str:
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
