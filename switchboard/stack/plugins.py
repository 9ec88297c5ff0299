"""Compiles the plugins for Connect and Flink with a compiler that is a jar, so that a Java runtime
suffices."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import MisconfiguredError

ROOT = Path(__file__).parents[2]
MIN_JAVA = "17"


CONNECT = ROOT / "connectors" / "plugin"


@dataclass(frozen=True)
class Plugin:
    """Source files, packed as `jar`.

    Java's service loader finds its classes `services`: pairs of a service and a class that provides it.
    """

    sources: tuple[Path, ...]
    jar: str
    services: tuple[tuple[str, str], ...] = ()


CONVERTER = Plugin(
    (CONNECT / "ValueConverter.java",),
    "switchboard-converter.jar",
    (("org.apache.kafka.connect.storage.Converter", "switchboard.connect.ValueConverter"),),
)
VALUE_CONVERTER = CONVERTER.services[0][1]
DEBEZIUM = Plugin(
    tuple(
        CONNECT / f"{name}.java"
        for name in (
            "BinaryJson",
            "Charsets",
            "ChunkQueries",
            "Internals",
            "Members",
            "NonexistentDates",
            "SignalsBetweenTransactions",
            "SnapshotDates",
            "StreamDates",
            "StreamValues",
            "TableDefinitions",
            "TableIsolation",
            "Preparation",
            "XaTransactions",
        )
    ),
    "switchboard-debezium.jar",
    (
        (
            "io.debezium.pipeline.notification.channels.NotificationChannel",
            "switchboard.connect.Preparation",
        ),
        (
            "io.debezium.pipeline.signal.actions.SignalActionProvider",
            "switchboard.connect.SignalsBetweenTransactions",
        ),
        ("io.debezium.pipeline.signal.actions.SignalActionProvider", "switchboard.connect.TableIsolation"),
    ),
)
FORMAT = Plugin(
    (ROOT / "flink_jobs" / "plugin" / "ChangeRecordFormat.java",),
    "switchboard-format.jar",
    (("org.apache.flink.table.factories.Factory", "switchboard.flink.ChangeRecordFormat"),),
)
FUNCTIONS = Plugin(
    tuple(
        ROOT / "flink_jobs" / "sample" / "plugin" / name for name in ("AgentSessions.java", "Largest.java")
    ),
    "switchboard-functions.jar",
)


def remove_others(plugin: Plugin, folder: Path) -> None:
    """Removes the jars that earlier versions of the plugin have left in the folder under other names."""
    for jar in folder.glob("switchboard-*.jar"):
        if jar.name != plugin.jar:
            jar.unlink()


def build(plugin: Plugin, java: Path, jars: Path, libraries: Iterable[Path], target: Path) -> Path:
    """Writes the plugin's jar to the folder `target`, unless a jar of the same source exists.

    `jars` has the compiler's folder. Raises MisconfiguredError with the compiler's output.
    """
    jar, source = (
        target / plugin.jar,
        hashlib.sha256(b"".join(path.read_bytes() for path in plugin.sources)).hexdigest().encode(),
    )
    if jar.exists() and zipfile.ZipFile(jar).comment == source:
        return jar
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        compiler = next((jars / "compiler").glob("ecj-*.jar"))
        classpath = ":".join(str(library) for library in libraries if library != jar)
        options = (f"-{MIN_JAVA}", "-nowarn", "-cp", classpath, "-d", scratch)
        command = [str(java), "-jar", str(compiler), *options, *map(str, plugin.sources)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            output = " ".join((done.stderr + done.stdout).split())[:500]
            raise MisconfiguredError(
                f"{plugin.jar} does not compile: {output}", "do the pinned libraries and ECJ fit it?"
            )
        return _pack(plugin, Path(scratch), jar, source)


def _pack(plugin: Plugin, classes: Path, jar: Path, source: bytes) -> Path:
    partial = classes / plugin.jar
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = source
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes))
        for service in dict.fromkeys(service for service, _ in plugin.services):
            providers = [provider for offered, provider in plugin.services if offered == service]
            archive.writestr(f"META-INF/services/{service}", "".join(f"{name}\n" for name in providers))
    return partial.replace(jar)
