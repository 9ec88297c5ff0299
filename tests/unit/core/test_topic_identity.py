"""Topics are described by a child process: its death is survived, its answers are never taken for another
question's."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from core.clients import topic_identity
from core.clients.describe_topics import describe
from core.clients.topic_identity import COMMAND, TopicDescriber, TopicIdentity
from core.errors import TransientError
from core.settings import KafkaEndpoint

ROOT = Path(__file__).parents[3]
UNSAFE = {"describe_cluster", "describe_topics"}


class FakeAdmin:
    """Answers for each topic with its description or an error's code."""

    def __init__(self, answers: Mapping[str, int | None]) -> None:
        self._answers = answers

    def describe_cluster(self, **_: Any) -> Future[Any]:
        return future(SimpleNamespace(cluster_id="c"))

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Future[Any]]:
        return {
            name: future(SimpleNamespace(topic_id="t", partitions=[0, 1]), code)
            for name, code in self._answers.items()
        }


def future(result: Any, code: int | None = None) -> Future[Any]:
    answered: Future[Any] = Future()
    if code is None:
        answered.set_result(result)
    else:
        answered.set_exception(KafkaException(KafkaError(code)))
    return answered


def admin(answers: Mapping[str, int | None]) -> Any:
    return FakeAdmin(answers)


def test_a_topic_that_does_not_exist_is_left_out() -> None:
    assert describe(admin({"a": None, "b": KafkaError.UNKNOWN_TOPIC_OR_PART}), ["a", "b"]) == {
        "a": ("c", "t", 2)
    }


@pytest.mark.parametrize(
    "code", [KafkaError._TIMED_OUT, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.LEADER_NOT_AVAILABLE]
)
def test_any_other_failure_is_no_absence(code: int) -> None:
    with pytest.raises(KafkaException):
        describe(admin({"a": None, "b": code}), ["a", "b"])


class Child:
    """A stand-in for `describe_topics` that answers by a script of its own, and counts how often it was
    started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, answering: str) -> None:
        self.starts = folder / "starts"
        script = folder / "child.py"
        script.write_text(
            textwrap.dedent(
                f"""
                import json, os, signal, sys, time
                with open({str(self.starts)!r}, "a") as starts:
                    print(os.getpid(), file=starts)
                started = len(open({str(self.starts)!r}).readlines())
                config = json.loads(sys.stdin.readline())
                for line in sys.stdin:
                    topics = json.loads(line)
                    {answering}
                    answers = {{name: ["c", f"{{name}}-{{started}}", 2] for name in topics}}
                    print(json.dumps({{"topics": answers}}), flush=True)
                """
            )
        )
        monkeypatch.setattr(topic_identity, "COMMAND", (sys.executable, str(script)))

    @property
    def pids(self) -> list[int]:
        return [int(line) for line in self.starts.read_text().split()]


@pytest.fixture
def describer() -> Iterator[TopicDescriber]:
    created = TopicDescriber(KafkaEndpoint(bootstrap="127.0.0.1:1"))
    yield created
    created.close()


def test_one_child_answers_all_questions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, describer: TopicDescriber
) -> None:
    child = Child(monkeypatch, tmp_path, "pass")
    assert describer.identities(["b", "a"]) == {
        "a": TopicIdentity("c", "a-1", 2),
        "b": TopicIdentity("c", "b-1", 2),
    }
    assert describer.identity("z") == TopicIdentity("c", "z-1", 2)
    assert len(child.pids) == 1


def test_no_topics_start_no_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, describer: TopicDescriber
) -> None:
    child = Child(monkeypatch, tmp_path, "pass")
    assert describer.identities([]) == {}
    assert not child.starts.exists()


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])
def test_a_child_that_dies_in_a_question_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, describer: TopicDescriber, number: signal.Signals
) -> None:
    child = Child(monkeypatch, tmp_path, f"started == 1 and os.kill(os.getpid(), {number.value})")
    assert describer.identity("a") == TopicIdentity("c", "a-2", 2)
    assert len(child.pids) == 2


def test_a_child_killed_between_two_questions_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, describer: TopicDescriber
) -> None:
    child = Child(monkeypatch, tmp_path, "pass")
    describer.identity("a")
    os.kill(child.pids[0], signal.SIGABRT)
    assert describer.identity("a") == TopicIdentity("c", "a-2", 2)


def test_a_child_that_always_dies_is_named_with_its_signal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, describer: TopicDescriber
) -> None:
    child = Child(monkeypatch, tmp_path, "os.abort()")
    with pytest.raises(TransientError, match="ended by SIGABRT"):
        describer.identity("a")
    assert len(child.pids) == topic_identity.ATTEMPTS


def test_a_late_answer_is_not_the_next_questions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, describer: TopicDescriber
) -> None:
    Child(monkeypatch, tmp_path, "started == 1 and time.sleep(0.5)")
    monkeypatch.setattr(topic_identity, "ANSWER_SECONDS", 0.2)
    with pytest.raises(TransientError, match=r"does not describe topics within"):
        describer.identity("a")
    monkeypatch.setattr(topic_identity, "ANSWER_SECONDS", 20.0)
    assert describer.identity("b") == TopicIdentity("c", "b-2", 2)


def test_a_process_that_is_about_to_end_waits_no_longer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = Child(monkeypatch, tmp_path, "time.sleep(60)")
    describer = TopicDescriber(KafkaEndpoint(bootstrap="127.0.0.1:1"), stopping=child.starts.exists)
    with pytest.raises(TransientError, match="about to end"):
        describer.identity("a")
    with pytest.raises(ProcessLookupError):
        os.kill(child.pids[0], 0)


def test_the_real_child_reports_why_kafka_does_not_answer() -> None:
    """A wrong configuration ends it at once; its last line says what is wrong."""
    child = subprocess.run(COMMAND, input=b'{"bogus": 1}\n', capture_output=True, timeout=30, check=False)
    assert child.returncode == 1
    assert b"bogus" in child.stderr.splitlines()[-1]


def test_the_real_child_ends_with_its_parent() -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(b'{"bootstrap.servers": "127.0.0.1:1", "log_level": 2}\n["a"]\n')
        child.stdin.close()
        assert child.wait(5) == 0


def test_nothing_else_calls_what_may_abort_the_process() -> None:
    calls = {
        (str(file.relative_to(ROOT)), node.attr)
        for folder in (
            "batch",
            "benchmarks",
            "connectors",
            "consumers",
            "core",
            "flink_jobs",
            "simulator",
            "streamer",
            "switchboard",
            "verify",
        )
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if not file.is_relative_to(ROOT / "tests") and isinstance(node, ast.Attribute) and node.attr in UNSAFE
    }
    assert calls == {("core/clients/describe_topics.py", name) for name in UNSAFE}
