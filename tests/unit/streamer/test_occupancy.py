"""How long agents were on contact and available is what their activities say, in whatever order these are told."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.occupancy import Step, Track, Tracks, occupancy

STATES = ("on contact", "after-contact work", "available", "break", "offline")
steps = st.lists(
    st.builds(Step, st.integers(0, 50), st.integers(0, 5), st.sampled_from(STATES)), unique_by=lambda step: (step.at, step.identity)
)


def spent(found: list[Step], begin: int, end: int) -> tuple[int, int]:
    """Millisecond by millisecond."""
    ordered = sorted(found, key=lambda step: (step.at, step.identity))
    contact = idle = 0
    for moment in range(begin, end):
        state = next((step.state for step in reversed(ordered) if step.at <= moment), "offline")
        contact += state in ("on contact", "after-contact work")
        idle += state == "available"
    return contact, idle


@given(found=steps, order=st.randoms(use_true_random=False), begin=st.integers(0, 60), length=st.integers(0, 30))
def test_time_between_two_moments_is_that_of_the_steps_in_any_order_and_however_often_told(
    found: list[Step], order: object, begin: int, length: int
) -> None:
    told = found + found[::2]
    order.shuffle(told)  # type: ignore[attr-defined]
    track = Track()
    for step in told:
        track.add(step)
    assert track.between(begin, begin + length) == spent(found, begin, begin + length)


@given(found=steps, before=st.integers(0, 60))
def test_what_is_forgotten_changes_nothing_of_what_comes_after(found: list[Step], before: int) -> None:
    track = Track()
    for step in found:
        track.add(step)
    track.forget(before)
    for begin, end in pairwise(range(before, before + 30, 7)):
        assert track.between(begin, end) == spent(found, begin, end)


def test_of_several_agents_the_sums_are_divided() -> None:
    assert occupancy([(300, 100), (0, 200)]) == pytest.approx(0.5)
    assert occupancy([(0, 0)]) is None


def test_an_agent_who_was_never_told_of_is_left_out() -> None:
    tracks = Tracks()
    tracks.add(7, Step(10, 1, "available"))
    assert tracks.spent([7, 8], [0, 15], 20) == {7: [(0, 10), (0, 5)]}
