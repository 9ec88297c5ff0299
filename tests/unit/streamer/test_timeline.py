"""An agent's timeline out of rows."""

from __future__ import annotations

import datetime as dt

from streamer.timeline import spans

NOON = dt.datetime(2026, 5, 1, 12)


def test_neighbours_of_one_state_are_one_span_and_the_last_one_lasts() -> None:
    told = [("available", ""), ("break", "lunch"), ("break", "lunch"), ("break", "coffee"), ("available", "")]
    found = spans((state, reason, NOON + dt.timedelta(minutes=n)) for n, (state, reason) in enumerate(told))
    assert [(span.state, span.reason) for span in found] == [told[0], told[1], told[3], told[4]]
    assert [span.to for span in found[:-1]] == [getattr(span, "from") for span in found[1:]]
    assert not found[-1].HasField("to")
    assert spans([]) == []
