"""MySQL as a plain process: an installed mysqld 8.0 or newer, else Debian's packages unpacked without root."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import MisconfiguredError, TransientError
from switchboard.stack.jars import versions
from switchboard.stack.progress import Progress

LEFT_OUT = ("perl", "gconv", "db5.3")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SYSTEM_FOLDERS = "/usr/sbin:/usr/libexec:/usr/local/sbin"
"""Where servers are, which is not on every user's PATH."""
LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class MySqlProgram:
    """How to start mysqld: the command's beginning, and the options that its place demands."""

    command: tuple[str, ...]
    options: tuple[str, ...] = ()


def find_or_fetch(artefacts: Path, progress: Progress) -> MySqlProgram:
    """Blocks while packages are fetched. Raises MisconfiguredError where neither way is open."""
    return _installed() or _unpacked(artefacts, progress)


def _installed() -> MySqlProgram | None:
    program = shutil.which("mysqld") or shutil.which("mysqld", path=SYSTEM_FOLDERS)
    if program is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    found = re.search(r"Ver (\d+)\.(\d+)", said)
    if found is None or "MariaDB" in said or int(found.group(1)) < 8:
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
                f"no mysqld 8.0 or newer is installed, and {tool} is missing to fetch one", "install MySQL 8.0 or newer"
            )
    apt = artefacts / "apt"
    shutil.rmtree(root, ignore_errors=True)
    options = _private_apt(apt)
    progress.say("  fetching MySQL's packages")
    _run(["apt-get", *options, "-qq", "update"])
    pinned = versions()["debian"]
    held = _run(["apt-cache", *options, "madison", pinned["packages"][0]])
    version = choose_version(
        pinned["version"], [line.split("|")[1].strip() for line in held.splitlines() if line.count("|") == 2], progress
    )
    wanted = [f"{package}={version}" for package in pinned["packages"]]
    _run(["apt-get", *options, "-qq", "-y", "--download-only", "--no-install-recommends", "install", *wanted])
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        if not any(word in package.name for word in LEFT_OUT):
            _run(["dpkg-deb", "-x", str(package), str(root)])
    (root / ".complete").touch()
    shutil.rmtree(apt)


def choose_version(pinned: str, held: list[str], progress: Progress) -> str:
    """The pinned version, else the newest of its series (9.7), said loudly. `held` is what the mirror has, newest first.

    Raises MisconfiguredError where the mirror has none of the series.
    """
    if pinned in held:
        return pinned
    series = ".".join(pinned.split(".")[:2])
    same = [version for version in held if version.startswith(f"{series}.")]
    if not same:
        raise MisconfiguredError(
            f"the Debian mirror no longer holds MySQL {pinned} nor another {series}: it has {', '.join(held) or 'none'}",
            "install MySQL 8.0 or newer, or name a version that it has in switchboard/stack/versions.toml",
        )
    progress.say(f"  NOTE: the Debian mirror no longer holds MySQL {pinned}; taking {same[0]}, which was not tested")
    return same[0]


def _private_apt(apt: Path) -> list[str]:
    """Options for an apt with a state of its own, which touches nothing of the system's."""
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
    """The Debian mirror that this machine already uses."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        if place.is_file():
            found = re.search(r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s*)?)(\S+/debian)/?(?:\s|$)", place.read_text(), re.M)
            if found:
                return found.group(1)
    raise MisconfiguredError(
        "no mysqld 8.0 or newer is installed, and this machine names no Debian mirror to fetch one from",
        "install MySQL 8.0 or newer",
    )


def _run(command: list[str]) -> str:
    """What it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        detail = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise TransientError(f"{command[0]} failed while fetching MySQL: {detail}", "check the network and disk, try again")
    return done.stdout
