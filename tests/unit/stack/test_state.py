"""Ports and passwords are chosen once, kept, and never shown to others."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from switchboard.stack.state import USUAL_PORTS, choose_port, load, new_cluster_id, prepare


def test_a_wanted_port_that_is_taken_is_replaced() -> None:
    assert choose_port(47_651, {47_651}) != 47_651


def test_passwords_are_generated_and_kept_and_private(tmp_path: Path) -> None:
    first = prepare(tmp_path, frozenset())
    assert len(set(first.passwords.values())) == len(first.passwords)
    assert prepare(tmp_path, frozenset()).passwords == first.passwords
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert load(tmp_path).cluster_id == first.cluster_id


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    assert not [
        text for text in (new_cluster_id() for _ in range(2000)) if text.startswith("-") or len(text) != 22
    ]


def test_a_usual_port_that_another_server_holds_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setitem(USUAL_PORTS, "kafka", taken)
        assert prepare(tmp_path, frozenset()).ports["kafka"] != taken


def test_ports_are_kept_and_distinct(tmp_path: Path) -> None:
    first = prepare(tmp_path, frozenset()).ports
    assert len(set(first.values())) == len(first)
    assert prepare(tmp_path, frozenset(first)).ports == first


def test_the_services_of_the_last_up_are_stored(tmp_path: Path) -> None:
    prepare(tmp_path, frozenset(), ("mysql", "seaweedfs"))
    assert load(tmp_path).services == ["mysql", "seaweedfs"]


def test_a_state_of_another_version_keeps_its_ports_and_passwords(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, frozenset(), ("mysql",))
    values = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**values, "parts": ["mysql"]}))
    assert load(tmp_path) == prepared
