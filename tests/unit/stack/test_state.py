"""Ports and passwords are chosen once, kept, and never shown to others."""

from __future__ import annotations

import stat
from pathlib import Path

from switchboard.stack.state import choose_port, load, new_cluster_id, prepare


def test_a_wanted_port_that_is_taken_is_replaced() -> None:
    assert choose_port(47_651, {47_651}) != 47_651


def test_passwords_are_generated_and_kept_and_private(tmp_path: Path) -> None:
    first = prepare(tmp_path, frozenset())
    assert len(set(first.passwords.values())) == len(first.passwords)
    assert prepare(tmp_path, frozenset()).passwords == first.passwords
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert load(tmp_path).cluster_id == first.cluster_id


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    assert not [text for text in (new_cluster_id() for _ in range(2000)) if text.startswith("-") or len(text) != 22]
