"""The records of a fetch are taken in order: an end of log that comes in one fetch with the last records
never precedes them."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from consumers.offsets import OffsetTracker, Partition
from consumers.pending import runs

Step = tuple[int, bool]
"""A partition, and whether its log end is reported; else it is one more record."""
STEPS = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40)


def fetched(steps: list[Step]) -> list[Message]:
    """Behind each record stands a control record, which nobody is handed, as a transaction writes it."""
    ends = [0, 0, 0]
    message = []
    for partition, end in steps:
        error = KafkaError(KafkaError._PARTITION_EOF) if end else None
        message.append(
            Message(
                topic="cdc",
                partition=partition,
                offset=ends[partition],
                value=b"" if end else b"row",
                error=error,
            )
        )
        ends[partition] += 0 if end else 2
    return message


@given(STEPS)
def test_nothing_is_lost_or_moved(steps: list[Step]) -> None:
    messages = fetched(steps)
    taken = list(runs(messages))
    assert [message for run in taken for message in run] == messages
    for run in taken:
        assert len({(message.topic(), message.partition(), message.error() is None) for message in run}) == 1


@given(STEPS)
def test_no_commit_passes_a_record_that_has_not_landed(steps: list[Step]) -> None:
    tracker, committed = OffsetTracker(), dict.fromkeys(((("cdc", number)) for number in range(3)), 0)
    first: dict[Partition, int] = {}
    for run in runs(fetched(steps)):
        position = (str(run[0].topic()), run[0].partition() or 0)
        if run[0].error() is not None:
            tracker.reached(position, run[-1].offset() or 0)
        else:
            first.setdefault(position, run[0].offset() or 0)
            tracker.begin(position, (run[-1].offset() or 0) + 1)
        committed |= tracker.take_ready()
    assert all(committed[position] <= offset for position, offset in first.items())
