"""A topic that Kafka does not describe is taken for absent only if Kafka says so."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumers import generations
from consumers.generations import TopicIdentity, await_topic, identities
from core.errors import TransientError


class FakeAdmin:
    """Answers for each topic with its description or an error."""

    def __init__(self, *answers: Mapping[str, int | None]) -> None:
        """Topic -> the error's code, or None for one that stands; an answer for each question, the last one for all further ones."""
        self._answers = list(answers)

    def describe_cluster(self, **_: Any) -> Future[Any]:
        return done(SimpleNamespace(cluster_id="c"))

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Future[Any]]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return {name: done(SimpleNamespace(topic_id="t", partitions=[0, 1]), code) for name, code in answer.items()}


def done(result: Any, code: int | None = None) -> Future[Any]:
    future: Future[Any] = Future()
    if code is None:
        future.set_result(result)
    else:
        future.set_exception(KafkaException(KafkaError(code)))
    return future


def told(*answers: Mapping[str, int | None]) -> Any:
    return FakeAdmin(*answers)


def test_a_topic_that_does_not_exist_is_left_out() -> None:
    admin = told({"a": None, "b": KafkaError.UNKNOWN_TOPIC_OR_PART})
    assert identities(admin, ["a", "b"]) == {"a": TopicIdentity("c", "t", 2)}


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.LEADER_NOT_AVAILABLE])
def test_any_other_failure_is_no_absence(code: int) -> None:
    with pytest.raises(TransientError, match="does not tell"):
        identities(told({"a": None, "b": code}), ["a", "b"])


def test_a_topic_is_awaited_until_it_is_seen_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    absent, standing = {"a": KafkaError.UNKNOWN_TOPIC_OR_PART}, {"a": None}
    await_topic(told(absent, absent, standing), "a", stands=True)
    await_topic(told(standing, standing, absent), "a", stands=False)
    monkeypatch.setattr(generations, "SEEN_SECONDS", 0.0)
    with pytest.raises(TransientError, match="was deleted but is still seen"):
        await_topic(told(standing), "a", stands=False)
