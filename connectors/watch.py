"""Failed tasks are started again, each time after a longer pause, and the cause is logged in one line."""

from __future__ import annotations

import time

from connectors.rest import KafkaConnect, root_cause
from core import logging
from core.errors import SwitchboardError

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 300.0
FORGIVEN_SECONDS = 600.0
"""A connector that ran for so long begins again with the first pause."""

log = logging.get("connectors")


class Watch:
    """Looks at every connector when `look` is called; `connect` may be away."""

    def __init__(self, connect: KafkaConnect) -> None:
        self._connect = connect
        self._pauses: dict[str, float] = {}
        self._restarted: dict[str, float] = {}

    def look(self) -> list[str]:
        """Restarts what has failed and whose pause is over; returns their names. Blocks on Kafka Connect."""
        restarted = []
        try:
            for name in self._connect.names():
                cause = self._failure(name)
                if cause is not None and self._due(name):
                    log.warning("connector restarted", connector=name, cause=cause, next_pause=self._pauses[name])
                    self._connect.change(name, "restart")
                    restarted.append(name)
        except SwitchboardError as error:
            log.warning("Kafka Connect cannot be watched", error=error.what)
        return restarted

    def _failure(self, name: str) -> str | None:
        status = self._connect.status(name)
        states = [status["connector"], *status["tasks"]] if status else []
        return next((root_cause(state.get("trace", "")) for state in states if state["state"] == "FAILED"), None)

    def _due(self, name: str) -> bool:
        now = time.monotonic()
        since = now - self._restarted.get(name, -FORGIVEN_SECONDS)
        pause = FIRST_PAUSE if since >= FORGIVEN_SECONDS else self._pauses[name]
        if since < pause:
            return False
        self._restarted[name] = now
        self._pauses[name] = min(pause * 2, LONGEST_PAUSE)
        return True
