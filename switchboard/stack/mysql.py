"""MySQL as a plain process: an installed mysqld 8.0 or newer, else Debian's packages, unpacked without
root."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import MisconfiguredError, TransientError
from switchboard.stack.jars import versions
from switchboard.stack.progress import Progress

EXCLUDED = ("perl", "gconv", "db5.3")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SYSTEM_FOLDERS = "/usr/sbin:/usr/libexec:/usr/local/sbin"
"""Folders of server programs that are not in every user's PATH."""
LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class MySqlProgram:
    """How to start mysqld: the start of the command, and the options that its location requires."""

    command: tuple[str, ...]
    options: tuple[str, ...] = ()


def find_or_fetch(artefacts: Path, progress: Progress) -> MySqlProgram:
    """Returns the installed mysqld, or the fetched one.

    Blocks while packages are fetched; raises MisconfiguredError.
    """
    return _installed() or _unpacked(artefacts, progress)


def _installed() -> MySqlProgram | None:
    program = shutil.which("mysqld") or shutil.which("mysqld", path=SYSTEM_FOLDERS)
    if program is None:
        return None
    output = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    found = re.search(r"Ver (\d+)\.(\d+)", output)
    if found is None or "MariaDB" in output or int(found.group(1)) < 8:
        return None
    return MySqlProgram((program,))


def _unpacked(artefacts: Path, progress: Progress) -> MySqlProgram:
    root = artefacts / "mysql"
    if not (root / ".complete").exists():
        _unpack(artefacts, root, progress)
    root = root.resolve()
    loader = next((root / LIBRARIES).glob("ld-linux-x86-64.so.2"), root / "usr/lib64/ld-linux-x86-64.so.2")
    share = root / "usr/share/mysql"
    libraries = f"{root / LIBRARIES}:{root / 'usr/lib/mysql/private'}"
    return MySqlProgram(
        (str(loader), "--library-path", libraries, str(root / "usr/sbin/mysqld")),
        (
            f"--basedir={root / 'usr'}",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}",
            f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
        ),
    )


def _unpack(artefacts: Path, root: Path, progress: Progress) -> None:
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise MisconfiguredError(
                f"no mysqld 8.0 or newer is installed, and {tool} is missing to fetch one",
                "install MySQL 8.0 or newer",
            )
    apt = artefacts / "apt"
    shutil.rmtree(root, ignore_errors=True)
    options = _private_apt(apt)
    progress.report("  fetching MySQL's packages")
    _run(["apt-get", *options, "-qq", "update"])
    pinned = versions()["debian"]
    available = _run(["apt-cache", *options, "madison", pinned["packages"][0]])
    version = choose_version(
        pinned["version"],
        [line.split("|")[1].strip() for line in available.splitlines() if line.count("|") == 2],
        progress,
    )
    wanted = [f"{package}={version}" for package in pinned["packages"]]
    _run(["apt-get", *options, "-qq", "-y", "--download-only", "--no-install-recommends", "install", *wanted])
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        if not any(word in package.name for word in EXCLUDED):
            _run(["dpkg-deb", "-x", str(package), str(root)])
    (root / ".complete").touch()
    shutil.rmtree(apt)


def choose_version(pinned: str, available: list[str], progress: Progress) -> str:
    """Returns the pinned version, else the newest of its series (9.7), with a note. `available` are the
    mirror's, newest first.

    Raises MisconfiguredError if the mirror has none of the series.
    """
    if pinned in available:
        return pinned
    series = ".".join(pinned.split(".")[:2])
    same = [version for version in available if version.startswith(f"{series}.")]
    if not same:
        raise MisconfiguredError(
            f"the Debian mirror has neither MySQL {pinned} nor another {series}: it has "
            f"{', '.join(available) or 'none'}",
            "install MySQL 8.0 or newer, or set a version that it has in switchboard/stack/versions.toml",
        )
    progress.report(
        f"  NOTE: the Debian mirror no longer has MySQL {pinned}; using {same[0]}, which is not tested"
    )
    return same[0]


def _private_apt(apt: Path) -> list[str]:
    """Returns options for apt-get with its own state, which changes nothing of the system's."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text("")
    suite = versions()["debian"]["suite"]
    source = f"Types: deb\nURIs: {_mirror()}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
    (apt / "switchboard.sources").write_text(source)
    base = apt.resolve()
    settings = {
        "Dir::Etc::sourcelist": base / "switchboard.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": base / "state",
        "Dir::State::Lists": base / "state/lists",
        "Dir::State::status": base / "status",
        "Dir::Cache": base / "cache",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "1",
        "Acquire::Retries": "3",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _mirror() -> str:
    """Returns the Debian mirror that this machine is configured for."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if file.is_file():
            found = re.search(
                r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s*)?)(\S+/debian)/?(?:\s|$)", file.read_text(), re.M
            )
            if found:
                return found.group(1)
    raise MisconfiguredError(
        "no mysqld 8.0 or newer is installed, and this machine has no Debian mirror to fetch one from",
        "install MySQL 8.0 or newer",
    )


def _run(command: list[str]) -> str:
    """Returns the output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        detail = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise TransientError(
            f"{command[0]} failed while fetching MySQL: {detail}", "check the network and disk, try again"
        )
    return done.stdout
