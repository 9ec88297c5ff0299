"""An agent's timeline out of rows."""

from __future__ import annotations

import datetime as dt

from streamer.sample.timeline import spans

NOON = dt.datetime(2026, 5, 1, 12)


def test_consecutive_rows_of_one_state_are_one_span_and_the_last_is_open() -> None:
    rows = [("available", ""), ("break", "lunch"), ("break", "lunch"), ("break", "coffee"), ("available", "")]
    found = spans((state, reason, NOON + dt.timedelta(minutes=n)) for n, (state, reason) in enumerate(rows))
    assert [(span.state, span.reason) for span in found] == [rows[0], rows[1], rows[3], rows[4]]
    assert [span.to for span in found[:-1]] == [getattr(span, "from") for span in found[1:]]
    assert not found[-1].HasField("to")
    assert spans([]) == []
