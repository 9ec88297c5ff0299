"""How long agents were on contact and available is what their activities say, in whatever order these are
told."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.sample.occupancy import ActivityTimeline, AgentTimelines, StateChange, occupancy

STATES = ("on contact", "after-contact work", "available", "break", "offline")
changes = st.lists(
    st.builds(StateChange, st.integers(0, 50), st.integers(0, 5), st.sampled_from(STATES)),
    unique_by=lambda change: (change.at, change.id),
)


def expected_time(found: list[StateChange], begin: int, end: int) -> tuple[int, int]:
    """Millisecond by millisecond."""
    ordered = sorted(found, key=lambda change: (change.at, change.id))
    contact = idle = 0
    for moment in range(begin, end):
        state = next((change.state for change in reversed(ordered) if change.at <= moment), "offline")
        contact += state in ("on contact", "after-contact work")
        idle += state == "available"
    return contact, idle


@given(
    found=changes,
    order=st.randoms(use_true_random=False),
    begin=st.integers(0, 60),
    length=st.integers(0, 30),
)
def test_the_order_and_duplicates_of_changes_do_not_matter(
    found: list[StateChange], order: object, begin: int, length: int
) -> None:
    added = found + found[::2]
    order.shuffle(added)  # type: ignore[attr-defined]
    timeline = ActivityTimeline()
    for change in added:
        timeline.add(change)
    assert timeline.between(begin, begin + length) == expected_time(found, begin, begin + length)


@given(found=changes, before=st.integers(0, 60))
def test_forgetting_changes_nothing_later(found: list[StateChange], before: int) -> None:
    timeline = ActivityTimeline()
    for change in found:
        timeline.add(change)
    timeline.forget(before)
    for begin, end in pairwise(range(before, before + 30, 7)):
        assert timeline.between(begin, end) == expected_time(found, begin, end)


def test_the_occupancy_of_several_agents_is_that_of_their_sums() -> None:
    assert occupancy([(300, 100), (0, 200)]) == pytest.approx(0.5)
    assert occupancy([(0, 0)]) is None


def test_an_agent_without_activities_is_left_out() -> None:
    timelines = AgentTimelines()
    timelines.add(7, StateChange(10, 1, "available"))
    assert timelines.time_in_state([7, 8], [0, 15], 20) == {7: [(0, 10), (0, 5)]}
