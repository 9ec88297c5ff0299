"""The one way in which a call to an unavailable server is repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, retry, retry_if_exception, stop_after_delay, wait_exponential_jitter

from core.errors import TransientError

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.2


def is_transient(error: BaseException) -> bool:
    return isinstance(error, TransientError)


def retry_transient(
    call: Callable[[], T],
    limit: float,
    *,
    max_pause: float = 5.0,
    jitter: float = 0.0,
    stopping: Callable[[], bool] = lambda: False,
    is_retried: Callable[[BaseException], bool] = is_transient,
    before_retry: Callable[[int, BaseException], None] = lambda *_: None,
) -> T:
    """Calls, and calls again after growing pauses while the error is to be retried. Blocks.

    The error is raised once `limit` seconds have passed or `stopping` holds. The pauses, in seconds, double
    up to `max_pause`; each is longer by up to `jitter`, so that processes that lost a server do not all
    return to it at once. `before_retry` receives the number of attempts so far and the error.
    """
    delay = stop_after_delay(limit)

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None:
            before_retry(state.attempt_number, error)

    again = retry(
        retry=retry_if_exception(is_retried),
        stop=lambda state: delay(state) or stopping(),
        wait=wait_exponential_jitter(multiplier=FIRST_PAUSE_SECONDS, max=max_pause, jitter=jitter),
        before_sleep=report,
        reraise=True,
    )
    return again(call)()
