"""The jars of the JVM servers by Maven coordinates: resolved once into a lock file with sha256 digests, and
fetched by it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jgo.maven import MavenContext
from tenacity import retry, stop_after_attempt, wait_exponential

from core.errors import MisconfiguredError, TransientError
from switchboard.stack.progress import Progress

HERE = Path(__file__).parent
LOCK = HERE / "jars.lock.json"
DOWNLOADS = 8


@dataclass(frozen=True)
class LockedJar:
    """`coordinate` is group:artifact:version:classifier:packaging; the classifier may be empty."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        _, artifact, version, classifier, packaging = self.coordinate.split(":")
        return f"{artifact}-{version}{'-' + classifier if classifier else ''}.{packaging}"


def versions() -> dict[str, Any]:
    return tomllib.loads((HERE / "versions.toml").read_text())


def locked() -> dict[str, tuple[LockedJar, ...]]:
    """Returns folder -> its locked jars."""
    return {
        name: tuple(LockedJar(coordinate, sha) for coordinate, sha in jars.items())
        for name, jars in json.loads(LOCK.read_text()).items()
    }


def fetch(artefacts: Path, folders: tuple[str, ...], progress: Progress) -> None:
    """Fetches each folder of jars to ``<artefacts>/jars/<folder>``.

    Safe to repeat and to kill; blocks for the network.
    """
    context = MavenContext(repo_cache=artefacts / "maven", timeout=60)
    for name in folders:
        target = artefacts / "jars" / name
        wanted = locked()[name]
        stamp = hashlib.sha256(repr(wanted).encode()).hexdigest()
        if (target / ".complete").exists() and (target / ".complete").read_text() == stamp:
            continue
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            for path in progress.track(
                f"jars of {name}", pool.map(lambda jar: _fetch(context, jar), wanted), len(wanted)
            ):
                _install(path, target)
        (target / ".complete").write_text(stamp)


def _install(jar: Path, target: Path) -> None:
    if jar.name.endswith(".tar.gz"):
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch, tarfile.open(jar) as archive:
            # Python before 3.11.4 has none
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(scratch)
            shutil.copytree(scratch, target, dirs_exist_ok=True)
        return
    link = target / jar.name
    if not link.exists():
        os.link(jar, link)


@retry(stop=stop_after_attempt(4), wait=wait_exponential(max=10), reraise=True)
def _fetch(context: MavenContext, jar: LockedJar) -> Path:
    try:
        path = _artifact(context, jar.coordinate)
    except (RuntimeError, OSError) as error:
        raise TransientError(
            f"{jar.coordinate} cannot be fetched: {error}", "check the network and try again"
        ) from error
    found = _sha256(path)
    if found != jar.sha256:
        path.unlink()
        raise MisconfiguredError(
            f"{jar.coordinate} has sha256 {found}, the lock file has {jar.sha256}",
            "try again; if it persists, report it",
        )
    return path


def _artifact(context: MavenContext, coordinate: str) -> Path:
    group, artifact, version, classifier, packaging = coordinate.split(":")
    return Path(
        context.project(group, artifact).at_version(version).artifact(classifier, packaging).resolve()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock(artefacts: Path) -> None:
    """Resolves versions.toml again and writes the lock file. Blocks for the network."""
    context = MavenContext(repo_cache=artefacts / "maven", timeout=60)
    result = {name: dict(_resolved(context, coordinates)) for name, coordinates in versions()["jars"].items()}
    for name, coordinates in versions()["archives"].items():
        result[name] = {coordinate: _sha256(_artifact(context, coordinate)) for coordinate in coordinates}
    LOCK.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


def _resolved(context: MavenContext, coordinates: list[str]) -> Iterator[tuple[str, str]]:
    direct, transitive = context.resolver.resolve([context.create_dependency(text) for text in coordinates])
    for dependency in [*direct, *transitive]:
        if dependency.scope in ("provided", "system", "test") or dependency.type != "jar":
            continue
        name = ":".join(
            (
                dependency.groupId,
                dependency.artifactId,
                dependency.version,
                dependency.classifier or "",
                "jar",
            )
        )
        yield name, _sha256(Path(dependency.artifact.resolve()))


if __name__ == "__main__":
    lock(Path(".switchboard/artefacts"))
