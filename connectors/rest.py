"""A client of Kafka Connect's REST API.

Errors are one line each: the root cause of a failed task, not its trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import requests

from core.errors import MisconfiguredError, SwitchboardError, TransientError
from core.java_trace import root_cause
from core.retrying import retry_transient
from core.settings import ConnectEndpoint

REBALANCING = 409
MAX_PAUSE_SECONDS = 3.0
"""Between two attempts: a rebalance takes seconds."""
Config = dict[str, str]


class KafkaConnect:
    """Each call blocks for up to `retry_timeout` seconds while Connect is unavailable or rebalancing.

    Raises TransientError after that, and MisconfiguredError for a request that Connect refuses.
    """

    def __init__(self, endpoint: ConnectEndpoint, retry_timeout: float = 60) -> None:
        self._url = endpoint.url
        self._session = requests.Session()
        self._retry_timeout = retry_timeout

    def names(self) -> list[str]:
        return sorted(self._call("GET", "/connectors"))

    def config(self, name: str) -> Config | None:
        """The connector's config; None if there is no such connector."""
        if name not in self.names():
            return None
        return dict(self._call("GET", f"/connectors/{quote(name)}/config"))

    def put(self, name: str, config: Config) -> None:
        """Creates the connector, or updates its config, which restarts it.

        Raises MisconfiguredError with all invalid settings.
        """
        self._validate(name, config)
        self._call("PUT", f"/connectors/{quote(name)}/config", config)

    def _validate(self, name: str, config: Config) -> None:
        """Validates in a request of its own: the creation may answer an invalid setting with an internal
        error."""
        plugin = config["connector.class"].rsplit(".", 1)[-1]
        answer = self._call("PUT", f"/connector-plugins/{plugin}/config/validate", {**config, "name": name})
        errors = [error for item in answer["configs"] for error in (item["value"] or {}).get("errors", ())]
        if errors:
            raise MisconfiguredError(
                f"connector {name}: {'; '.join(errors)}", "correct the settings, then apply again"
            )

    def status(self, name: str) -> dict[str, Any]:
        """The states of the connector and its tasks; empty if there is no such connector.

        A new connector has no tasks yet.
        """
        return dict(self._call("GET", f"/connectors/{quote(name)}/status") or {})

    def states(self, name: str) -> list[dict[str, str]]:
        """The connector's own state, followed by its tasks' states; empty if there is no such connector."""
        status = self.status(name)
        return [status["connector"], *status["tasks"]] if status else []

    def change(self, name: str, verb: str) -> None:
        """`verb` is pause, resume, stop or restart."""
        if verb == "restart":
            self._call("POST", f"/connectors/{quote(name)}/restart?includeTasks=true&onlyFailed=false")
        else:
            self._call("PUT", f"/connectors/{quote(name)}/{verb}")

    def delete(self, name: str) -> None:
        self._call("DELETE", f"/connectors/{quote(name)}")

    def offsets(self, name: str) -> list[dict[str, Any]]:
        return list(self._call("GET", f"/connectors/{quote(name)}/offsets")["offsets"])

    def reset_offsets(self, name: str) -> None:
        """Connect refuses it unless the connector is stopped."""
        self._call("DELETE", f"/connectors/{quote(name)}/offsets")

    def set_level(self, logger: str, level: str) -> None:
        """Sets a logger's level on every worker. Raises MisconfiguredError for an unknown level."""
        self._call("PUT", f"/admin/loggers/{quote(logger)}?scope=cluster", {"level": level})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return retry_transient(
            lambda: self._once(method, path, body), self._retry_timeout, max_pause=MAX_PAUSE_SECONDS
        )

    def _once(self, method: str, path: str, body: Any) -> Any:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=(5, 90))
        except requests.RequestException as error:
            raise TransientError(
                f"Kafka Connect at {self._url} does not answer", "check `switchboard status`"
            ) from error
        if answer.status_code == 404 and path.endswith("/status"):
            return None
        if answer.status_code < 400:
            return answer.json() if answer.content else None
        raise _refused(path, answer)


def failures(states: Iterable[dict[str, str]]) -> list[str]:
    """The root causes of those of a connector's states that are FAILED."""
    return [root_cause(state.get("trace", "")) for state in states if state["state"] == "FAILED"]


def _refused(path: str, answer: requests.Response) -> SwitchboardError:
    try:
        message = str(answer.json().get("message", ""))
    except ValueError:
        message = answer.text
    first = message.strip().splitlines()[0] if message.strip() else f"status {answer.status_code}"
    if "/admin/loggers/" in path and answer.status_code == 404:
        return MisconfiguredError(f"there is no such log level: {first}", "ERROR, WARN, INFO, DEBUG or TRACE")
    if answer.status_code == REBALANCING or answer.status_code >= 500:
        return TransientError(
            f"Kafka Connect {path}: {root_cause(message) if 'Caused by' in message else first}"
        )
    detail = " ".join(message.split())[:600]
    return MisconfiguredError(
        f"Kafka Connect refused {path}: {detail}", "`switchboard connectors list` lists the connectors"
    )
