"""docker-compose.yml describes the stack that versions.toml pins."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from switchboard.stack.jars import locked, versions
from tests.pipeline import ROOT

SERVICES = {
    "mysql": "mysql",
    "kafka": "kafka",
    "registry": "registry",
    "connect": "debezium",
    "clickhouse": "clickhouse",
    "seaweedfs": "seaweedfs",
    "flink": "flink",
}


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


@pytest.mark.parametrize(("service", "pinned"), SERVICES.items())
def test_images_have_the_pinned_versions(service: str, pinned: str) -> None:
    assert compose()[service]["image"].rpartition(":")[2] == versions()["servers"][pinned]


def test_no_service_listens_beyond_loopback() -> None:
    ports = [port for service in compose().values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_folder_of_jars_is_locked_at_its_pinned_version() -> None:
    jars = locked()
    for name, coordinates in versions()["jars"].items():
        names = {":".join(jar.coordinate.split(":")[:3]) for jar in jars[name]}
        assert set(coordinates) <= names


def test_the_lock_holds_no_address() -> None:
    assert "://" not in (ROOT / "switchboard/stack/jars.lock.json").read_text()
