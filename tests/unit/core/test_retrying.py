from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import MisconfiguredError, TransientError
from core.retrying import retry_transient


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time."""
    taken: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", taken.append)
    return taken


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "an answer"

    return call


def test_a_transient_error_is_retried_after_growing_pauses(pauses: list[float]) -> None:
    away = TransientError("away")
    seen: list[int] = []
    found = retry_transient(
        failing(*[away] * 6), 100, max_pause=1, before_retry=lambda attempt, _: seen.append(attempt)
    )
    assert found == "an answer"
    assert pauses == [0.2, 0.4, 0.8, 1, 1, 1]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_another_error_is_raised_at_once(pauses: list[float]) -> None:
    with pytest.raises(MisconfiguredError):
        retry_transient(failing(MisconfiguredError("wrong", "correct it")), 100)
    assert pauses == []


def test_the_last_error_is_raised_after_the_limit_and_when_the_process_ends() -> None:
    with pytest.raises(TransientError, match="first"):
        retry_transient(failing(TransientError("first"), TransientError("second")), 0)
    with pytest.raises(TransientError, match="first"):
        retry_transient(failing(TransientError("first")), 100, stopping=lambda: True)


def test_jitter_only_lengthens_pauses(pauses: list[float]) -> None:
    retry_transient(failing(*[TransientError("away")] * 20), 100, max_pause=5, jitter=0.5)
    assert all(pause >= 0.2 for pause in pauses)
    assert len(set(pauses)) > 5
