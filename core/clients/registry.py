"""The part of the schema registry's Confluent API that the platform uses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from core.errors import MisconfiguredError, TransientError
from core.retrying import retry_transient
from core.settings import RegistryEndpoint

T = TypeVar("T")
TIMEOUT = (5, 10)
STARTUP_SECONDS = 5.0
"""A registry that stores its schemas in Kafka answers before it has read all of them: it does not know the
latest ids yet."""


class Registry:
    """Each call retries for `retry_timeout` seconds, or until `stopping`, then raises TransientError."""

    def __init__(
        self,
        endpoint: RegistryEndpoint,
        retry_timeout: float = 30,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._session = requests.Session()
        self._retry_timeout = retry_timeout
        self._stopping = stopping
        self._clock = clock
        self._away_at = clock()
        """When it last did not answer; initially now, as it may have been started just before its first
        answer."""

    def schema(self, schema_id: int, retry_timeout: float | None = None) -> str | None:
        """Returns the schema's text, or None if the registry does not know the id. `retry_timeout` applies to
        this call.

        If it was unavailable within the last `STARTUP_SECONDS`, an unknown id is retried: it may still be
        reading its storage.
        """
        return self._retried(lambda: self._schema(schema_id), retry_timeout)

    def _schema(self, schema_id: int) -> str | None:
        answer = self._once(f"/schemas/ids/{schema_id}")
        if answer is None and self._clock() < self._away_at + STARTUP_SECONDS:
            raise TransientError(
                f"the schema registry does not know schema id {schema_id}, and may still be starting"
            )
        return None if answer is None else str(answer["schema"])

    def latest(self, subject: str) -> tuple[int, dict[str, Any]] | None:
        """Returns (id, schema) of the newest version of a subject, or None if there is none."""
        answer = self._get(f"/subjects/{subject}/versions/latest")
        return None if answer is None else (int(answer["id"]), json.loads(answer["schema"]))

    def versions(self, subject: str) -> list[tuple[int, dict[str, Any]]]:
        """Returns (id, schema) of every version of a subject, oldest first. One request for each."""
        numbers = self._get(f"/subjects/{subject}/versions") or []
        found = (self._get(f"/subjects/{subject}/versions/{number}") for number in sorted(numbers))
        return [(int(answer["id"]), json.loads(answer["schema"])) for answer in found if answer is not None]

    def subjects(self) -> list[str]:
        return list(self._get("/subjects") or [])

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """Registers the schema and returns its id; idempotent.

        Raises MisconfiguredError if the registry refuses it.
        """
        return int(
            self._retried(
                lambda: self._posted(f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
            )
        )

    def _posted(self, path: str, body: dict[str, str]) -> int:
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        response = self._response(
            lambda: self._session.post(
                self._endpoint.confluent + path, json=body, headers=headers, timeout=TIMEOUT
            )
        )
        if 400 <= response.status_code < 500:
            raise MisconfiguredError(
                f"the schema registry refuses a schema for {path}: {response.text[:300]}",
                "is it compatible with the last?",
            )
        return int(_read(response, path)["id"])

    def _get(self, path: str) -> Any:
        return self._retried(lambda: self._once(path))

    def _retried(self, call: Callable[[], T], retry_timeout: float | None = None) -> T:
        limit = self._retry_timeout if retry_timeout is None else retry_timeout
        return retry_transient(call, limit, stopping=self._stopping)

    def _once(self, path: str) -> Any:
        response = self._response(lambda: self._session.get(self._endpoint.confluent + path, timeout=TIMEOUT))
        return None if response.status_code == 404 else _read(response, path)

    def _response(self, call: Callable[[], requests.Response]) -> requests.Response:
        try:
            answer = call()
        except requests.RequestException as error:
            self._away_at = self._clock()
            raise TransientError(
                f"the schema registry at {self._endpoint.url} does not answer",
                "is it running? see `switchboard status`",
            ) from error
        if answer.status_code >= 500:
            self._away_at = self._clock()
        return answer


def _read(response: requests.Response, path: str) -> Any:
    if response.status_code >= 400:
        raise TransientError(f"the schema registry answered {response.status_code} to {path}")
    return response.json()
