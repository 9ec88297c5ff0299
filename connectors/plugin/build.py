"""Compiles the converter with a compiler that is itself a jar, so that a Java runtime is enough."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from core.errors import MisconfiguredError

SOURCE = Path(__file__).with_name("NullKeepingAvroConverter.java")
CLASS = "switchboard.connect.NullKeepingAvroConverter"
SERVICE = "META-INF/services/org.apache.kafka.connect.storage.Converter"
JAR = "switchboard-converter.jar"
OLDEST_JAVA = "17"


def build(java: Path, compiler: Path, libraries: Iterable[Path], target: Path) -> Path:
    """Writes JAR into the folder `target`, unless it is there already, of this source. `compiler` is ECJ's jar.

    Raises MisconfiguredError with the compiler's words.
    """
    jar, source = target / JAR, hashlib.sha256(SOURCE.read_bytes()).hexdigest().encode()
    if jar.exists() and zipfile.ZipFile(jar).comment == source:
        return jar
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        classpath = ":".join(str(library) for library in libraries if library != jar)
        options = (f"-{OLDEST_JAVA}", "-nowarn", "-cp", classpath, "-d", scratch)
        command = [str(java), "-jar", str(compiler), *options, str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            said = " ".join((done.stderr + done.stdout).split())[:500]
            raise MisconfiguredError(f"{SOURCE.name} does not compile: {said}", "do the converter's and ECJ's pinned versions fit it?")
        return _pack(Path(scratch), jar, source)


def _pack(classes: Path, jar: Path, source: bytes) -> Path:
    half = classes / JAR
    with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = source
        for path in sorted(classes.rglob("*.class")):
            archive.write(path, path.relative_to(classes))
        archive.writestr(SERVICE, CLASS + "\n")
    return half.replace(jar)
