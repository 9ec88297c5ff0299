"""Which tables leave a connector, and which come back to it."""

from __future__ import annotations

from connectors.capture import CaptureChanges, capture_changes
from schemas.render.connect import TABLES, captures

TABLES_THERE = [("acc_1", "calls"), ("acc_1", "notes"), ("acc_2", "calls"), ("crm", "a,b")]
LOADED = ["acc_1.calls", "acc_2.calls", "crm.a,b"]


def config(*patterns: str) -> dict[str, str]:
    return {TABLES: ",".join(f"(?-i){pattern}" for pattern in patterns)}


CALLS, NOTES, ODD = r"acc_[^.]*\.calls", r"acc_[^.]*\.notes", r"crm\.a\x2cb"


def test_a_table_is_taken_as_its_pattern_says() -> None:
    assert captures(config(CALLS, ODD), "acc_1", "calls")
    assert captures(config(CALLS, ODD), "crm", "a,b")
    assert not captures(config(CALLS), "ACC_1", "calls")
    assert not captures(config(CALLS), "acc_1", "calls2")
    assert not captures({}, "acc_1", "calls")


def test_what_is_no_longer_taken_has_left() -> None:
    assert capture_changes(config(CALLS, ODD), config(CALLS), TABLES_THERE, LOADED) == CaptureChanges(
        stopped=(("crm", "a,b"),)
    )
    narrower = capture_changes(config(CALLS), config(r"acc_1\.calls"), TABLES_THERE, LOADED)
    assert narrower == CaptureChanges(stopped=(("acc_2", "calls"),))


def test_what_is_taken_again_after_it_was_read_once_is_back_and_what_never_was_is_new() -> None:
    assert capture_changes(config(), config(CALLS, NOTES), TABLES_THERE, LOADED) == CaptureChanges(
        resumed=(("acc_1", "calls"), ("acc_2", "calls"))
    )


def test_another_spelling_of_the_same_tables_moves_nothing() -> None:
    assert capture_changes(config(r"acc_.*\.calls"), config(CALLS), TABLES_THERE, LOADED) == CaptureChanges()


def test_a_first_connector_moves_nothing_and_a_dropped_table_has_not_left() -> None:
    assert capture_changes(None, config(CALLS), TABLES_THERE, LOADED) == CaptureChanges()
    assert (
        capture_changes(config(CALLS, NOTES), config(CALLS), [("acc_1", "calls")], LOADED) == CaptureChanges()
    )
