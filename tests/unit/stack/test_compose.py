"""docker-compose.yml describes the stack that versions.toml pins."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchboard.stack import services
from switchboard.stack.compose import endpoints, environment
from switchboard.stack.flink import STATE
from switchboard.stack.jars import locked, versions
from switchboard.stack.plugins import CONVERTER, DEBEZIUM, FORMAT, FUNCTIONS, VALUE_CONVERTER
from tests.launching import ROOT

SERVICES = {
    "mysql": "mysql",
    "kafka": "kafka",
    "registry": "registry",
    "connect": "debezium",
    "clickhouse": "clickhouse",
    "seaweedfs": "seaweedfs",
    "flink-jobmanager": "flink",
    "flink-taskmanager": "flink",
}


TEXT = (ROOT / "docker-compose.yml").read_text()


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(TEXT)["services"])


@pytest.mark.parametrize(("service", "pinned"), SERVICES.items())
def test_images_have_the_pinned_versions(service: str, pinned: str) -> None:
    assert compose()[service]["image"].rpartition(":")[2] == versions()["servers"][pinned]


def test_the_services_are_the_local_stack_s_servers() -> None:
    assert set(compose()) == set(services.BASE + services.OPTIONAL)
    wanted = {"mysql": "mysql-users", "clickhouse": "clickhouse-users"}
    assert {
        name: item["configs"][0]["source"] for name, item in compose().items() if "configs" in item
    } == wanted


def test_no_service_listens_beyond_loopback() -> None:
    ports = [port for service in compose().values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    on_the_host = {
        name: str(item["environment"])
        for name, item in compose().items()
        if item.get("network_mode") == "host"
    }
    assert "'CONNECT_LISTENERS': 'http://127.0.0.1:8083'" in on_the_host.pop("connect")
    for settings in on_the_host.values():
        assert all(
            f"{name}: 127.0.0.1" in settings
            for name in ("jobmanager.bind-host", "taskmanager.bind-host", "rest.bind-address")
        )


def test_what_keeps_data_keeps_it_in_a_volume_that_is_declared() -> None:
    named = {
        volume.split(":")[0]
        for item in compose().values()
        for volume in item.get("volumes", ())
        if not volume.startswith(".")
    }
    assert (
        named
        == set(yaml.safe_load(TEXT)["volumes"])
        == {"mysql", "kafka", "clickhouse", "seaweedfs", "flink"}
    )


def test_every_secret_is_generated_and_none_is_written_in_the_file(tmp_path: Path) -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", TEXT))
    values = environment(tmp_path / "compose.env")
    assert asked == set(values)
    assert len(set(values.values())) == len(values)
    assert environment(tmp_path / "compose.env") == values
    assert stat.S_IMODE((tmp_path / "compose.env").stat().st_mode) == 0o600


def test_its_endpoints_are_the_ports_that_it_publishes(tmp_path: Path) -> None:
    published = {int(port.split(":")[1]) for item in compose().values() for port in item.get("ports", ())} | {
        8082,
        8083,
    }
    configured = re.findall(
        r"(?:port=|127\.0\.0\.1:)(\d+)", repr(endpoints(environment(tmp_path / "compose.env")))
    )
    assert set(map(int, configured)) == published


def test_the_users_may_do_what_they_may_in_the_local_stack() -> None:
    """Grants are written twice, so they are compared. Literals of the local stack's are joined."""
    local = re.sub(r'"\s+"', "", (ROOT / "switchboard/stack/services.py").read_text())
    inlined = yaml.safe_load(TEXT)["configs"]
    for grant in re.findall(r"GRANT [^;<]+", inlined["mysql-users"]["content"]):
        assert grant in local
    for grant in re.findall(r"<query>GRANT (.*?)</query>", inlined["clickhouse-users"]["content"]):
        assert grant in local


def test_flink_keeps_its_state_as_the_local_stack_s_does() -> None:
    properties = compose()["flink-taskmanager"]["environment"]["FLINK_PROPERTIES"].splitlines()
    assert {f"{name}: {value}" for name, value in STATE.items()} <= set(properties)
    assert any(line.startswith("execution.checkpointing.savepoint-dir: ") for line in properties)


def test_flink_is_given_the_locked_jars_and_ours() -> None:
    given = [
        volume.split(":")[0].rpartition("/")[2]
        for volume in compose()["flink-jobmanager"]["volumes"]
        if volume.startswith(".")
    ]
    assert sorted(given) == sorted([FORMAT.jar, FUNCTIONS.jar, *(jar.filename for jar in locked()["flink"])])


def test_connect_has_our_plugins_and_its_connectors_use_our_converter(tmp_path: Path) -> None:
    given = [volume.split(":")[0].rpartition("/")[2] for volume in compose()["connect"]["volumes"]]
    assert given == [CONVERTER.jar, DEBEZIUM.jar]
    assert endpoints(environment(tmp_path / "compose.env")).connect.value_converter == VALUE_CONVERTER


def test_every_folder_of_jars_is_locked_at_its_pinned_version() -> None:
    jars = locked()
    for name, coordinates in versions()["jars"].items():
        names = {":".join(jar.coordinate.split(":")[:3]) for jar in jars[name]}
        assert set(coordinates) <= names


def test_the_lock_holds_no_address() -> None:
    assert "://" not in (ROOT / "switchboard/stack/jars.lock.json").read_text()
