"""Where landing begins: at what was committed in the topic's present generation, or behind a gap that
somebody knows of."""

from __future__ import annotations

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, TopicPartition

from consumers.gaps import Gap
from consumers.start_offsets import committed_offset, start_offset


def committed(offset: int, metadata: str | None) -> TopicPartition:
    return (
        TopicPartition("cdc.a", 3, offset, metadata=metadata)
        if metadata is not None
        else TopicPartition("cdc.a", 3, offset)
    )


@pytest.mark.parametrize(
    ("offset", "metadata", "wanted"),
    [(7, "2", 7), (7, "1", 0), (7, None, 7), (7, "", 7), (OFFSET_INVALID, None, 0)],
    ids=["this generation", "an older one", "none is told", "none is told either", "never committed"],
)
def test_it_starts_at_what_was_committed_in_this_generation(
    offset: int, metadata: str | None, wanted: int
) -> None:
    assert committed_offset(committed(offset, metadata), 2) == wanted


@pytest.mark.parametrize(
    ("gap", "wanted"),
    [
        (None, 7),
        (Gap(1, 2, {3: 7}), OFFSET_BEGINNING),
        (Gap(1, 2, {3: 6}), 7),
        (Gap(1, 2, {0: 7}), 7),
        (Gap(1, 1, {3: 7}), 7),
    ],
    ids=["none", "accepted here", "passed long ago", "of another partition", "of another generation"],
)
def test_a_gap_is_passed_only_from_where_it_was_accepted(gap: Gap | None, wanted: int) -> None:
    assert start_offset(committed(7, "2"), 2, gap) == wanted


def test_a_group_that_has_never_committed_passes_the_gap_that_was_accepted_for_it() -> None:
    assert start_offset(committed(OFFSET_INVALID, None), 1, Gap(1, 1, {3: 0})) == OFFSET_BEGINNING
