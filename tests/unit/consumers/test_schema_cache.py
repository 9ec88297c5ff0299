"""What a schema id means, while the registry tells it and while it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumers.schema_cache import RegistryStateLostError, SchemaCache
from core.errors import PoisonError, StoppedError

GENERATION = ("cdc.a", 1)


def book(
    monkeypatch: pytest.MonkeyPatch, served: dict[int, str], newest: tuple[int, str] | None
) -> SchemaCache:
    """A registry that serves these schemas, and the newest schema of the topic that was met before."""
    registry = SimpleNamespace(schema=lambda number, *_: served.get(number))
    cached = SchemaCache(cast(Any, registry), cast(Any, None), lambda *_: None, cast(Any, None))
    known = None if newest is None else SimpleNamespace(schema_id=newest[0], schema=newest[1])
    monkeypatch.setattr(cached, "_known", lambda *_: None)
    monkeypatch.setattr(cached, "_newest_known", lambda *_: known)
    monkeypatch.setattr(cached, "_save", lambda *_: None)
    return cached


def test_a_new_id_is_taken_from_a_registry_that_knows_the_old_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert book(monkeypatch, {7: "old", 8: "new"}, (7, "old")).text(GENERATION, 8) == "new"


def test_an_id_that_nobody_knows_is_the_record_s_fault_only_while_the_registry_knows_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(PoisonError):
        book(monkeypatch, {7: "old"}, (7, "old")).text(GENERATION, 9)
    with pytest.raises(RegistryStateLostError, match="no longer knows schema id 7"):
        book(monkeypatch, {}, (7, "old")).text(GENERATION, 9)


def test_an_old_id_with_another_meaning_is_another_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoppedError, match="it was replaced"):
        book(monkeypatch, {7: "other", 9: "new"}, (7, "old")).text(GENERATION, 9)
