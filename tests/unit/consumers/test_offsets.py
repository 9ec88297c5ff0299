"""An offset is ready once everything below it is done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.offsets import OffsetTracker

PARTITION = ("topic", 0)


@given(st.permutations(range(8)))
def test_spans_that_finish_in_any_order_are_ready_in_theirs(order: list[int]) -> None:
    tracker = OffsetTracker()
    spans = [tracker.begin(PARTITION, (index + 1) * 10) for index in range(8)]
    done: set[int] = set()
    committed = 0
    for index in order:
        spans[index].done = True
        done.add(index)
        committed = tracker.take_ready().get(PARTITION, committed)
        prefix = next((number for number in range(8) if number not in done), 8)
        assert committed == prefix * 10


def test_the_logs_end_waits_for_what_was_begun() -> None:
    tracker = OffsetTracker()
    span = tracker.begin(PARTITION, 5)
    tracker.reached(PARTITION, 6)
    assert tracker.take_ready() == {}
    span.done = True
    assert tracker.take_ready() == {PARTITION: 6}


def test_a_lost_partition_is_forgotten() -> None:
    tracker = OffsetTracker()
    span = tracker.begin(PARTITION, 5)
    tracker.forget(PARTITION)
    span.done = True
    assert tracker.take_ready() == {}
