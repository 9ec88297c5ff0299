"""Flink's answers, as its REST API gives them, in one line each."""

from __future__ import annotations

import pytest

from core.errors import TransientError
from core.settings import FlinkEndpoint
from flink_jobs.rest import Flink, _location


def test_a_savepoint_that_is_completed_with_a_cause_has_failed() -> None:
    failed = {
        "failure-cause": {
            "class": "x",
            "stack-trace": "org.apache.flink.CheckpointException: not all tasks run\n\tat x",
        }
    }
    with pytest.raises(TransientError, match=r"not all tasks run$"):
        _location("j", failed)
    with pytest.raises(TransientError, match="no cause given"):
        _location("j", {})
    assert _location("j", {"location": "file:/s"}) == "file:/s"


def test_flink_away_is_one_line_with_a_remedy() -> None:
    with pytest.raises(TransientError, match="does not answer") as caught:
        Flink(FlinkEndpoint(url="http://127.0.0.1:1")).jobs()
    assert "switchboard up --all" in caught.value.remedy
