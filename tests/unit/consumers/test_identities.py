"""A topic that was created or deleted is awaited until Kafka says so."""

from __future__ import annotations

from typing import Any

import pytest

from consumers import generations
from consumers.generations import await_topic, identity
from core.clients.topic_identity import TopicIdentity
from core.errors import TransientError

EXISTS = TopicIdentity("c", "t", 2)


class FakeDescriber:
    """Gives its answers one after the other, and the last one to all further questions."""

    def __init__(self, *answers: TopicIdentity | None) -> None:
        self.answers = list(answers)

    def identity(self, topic: str) -> TopicIdentity | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def describer(*answers: TopicIdentity | None) -> Any:
    return FakeDescriber(*answers)


def test_a_topic_that_kafka_does_not_know_is_an_error() -> None:
    assert identity(describer(EXISTS), "a") == EXISTS
    with pytest.raises(TransientError, match="topic a is not visible yet"):
        identity(describer(None), "a")


def test_a_topic_is_awaited_until_it_is_seen_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    appearing, vanishing = describer(None, None, EXISTS), describer(EXISTS, EXISTS, None)
    await_topic(appearing, "a", exists=True)
    await_topic(vanishing, "a", exists=False)
    assert (appearing.answers, vanishing.answers) == ([EXISTS], [None])
    monkeypatch.setattr(generations, "VISIBLE_SECONDS", 0.0)
    with pytest.raises(TransientError, match="was deleted but is still visible"):
        await_topic(describer(EXISTS), "a", exists=False)
