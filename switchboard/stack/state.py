"""The state of a stack between starts: ports and passwords, in ``<home>/state.json``, readable by its owner
only."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.errors import MisconfiguredError

USUAL_PORTS = {
    "mysql": 3306,
    "kafka": 9092,
    "kafka_controller": 9093,
    "registry": 8081,
    "connect": 8083,
    "clickhouse_http": 8123,
    "clickhouse_tcp": 9000,
    "s3": 8333,
    "lake": 8181,
    "seaweedfs_master": 9333,
    "seaweedfs_volume": 9340,
    "seaweedfs_filer": 8888,
    "seaweedfs_admin": 23646,
    "seaweedfs_s3_grpc": 18333,
    "seaweedfs_master_grpc": 19333,
    "seaweedfs_volume_grpc": 19340,
    "seaweedfs_filer_grpc": 18888,
    "seaweedfs_admin_grpc": 33646,
    "flink": 8082,
    "flink_rpc": 6123,
    "supervisor": 9001,
}
PASSWORDS = ("mysql_root", "mysql_switchboard", "mysql_cdc", "clickhouse", "supervisor", "s3")


@dataclass
class State:
    ports: dict[str, int] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    cluster_id: str = ""
    services: list[str] = field(default_factory=list)
    """The services that the last `up` started or found running."""


class PortTakenError(MisconfiguredError):
    """Another process listens on a port of `service`."""

    def __init__(self, service: str, port: int) -> None:
        super().__init__(
            f"port {port}, for {service}, is used by another process",
            "run `switchboard up` again: it uses another port",
        )
        self.service = service


def load(home: Path) -> State:
    """Raises MisconfiguredError if there has never been a stack in `home`."""
    try:
        values = json.loads((home / "state.json").read_text())
        # others: of another version
        return State(**{name: value for name, value in values.items() if name in State.__dataclass_fields__})
    except FileNotFoundError:
        raise MisconfiguredError("the stack is not up", "run `switchboard up`") from None


def prepare(home: Path, running: frozenset[str], services: Iterable[str] = ()) -> State:
    """Returns the state for the next start of `services`: the present one, with free ports in place of taken
    ones.

    `running` are the names of ports that this stack's processes listen on.
    """
    home.mkdir(parents=True, exist_ok=True)
    state = load(home) if (home / "state.json").exists() else State()
    taken = {state.ports[name] for name in running if name in state.ports}
    for name, usual in USUAL_PORTS.items():
        if name not in running:
            state.ports[name] = choose_port(state.ports.get(name, usual), taken)
        taken.add(state.ports[name])
    for name in PASSWORDS:
        state.passwords.setdefault(name, new_password())
    state.cluster_id = state.cluster_id or new_cluster_id()
    state.services = sorted(services)
    write_private(home / "state.json", json.dumps(asdict(state), indent=1))
    return state


def new_password() -> str:
    return secrets.token_hex(16)


def new_cluster_id() -> str:
    """22 characters of URL-safe base64, as Kafka encodes them; the first is never a dash, which its tools
    would parse as an option."""
    return next(text for text in iter(lambda: secrets.token_urlsafe(16), None) if not text.startswith("-"))


def choose_port(wanted: int, taken: set[int]) -> int:
    """Returns `wanted` if it is free on loopback and not in `taken`, else any free port."""
    if wanted not in taken and _free(wanted):
        return wanted
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    scratch.replace(path)
