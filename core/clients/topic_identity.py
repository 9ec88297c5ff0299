"""The identities of topics, requested from Kafka by a child process, which may die without harm.

librdkafka's DescribeCluster and DescribeTopics abort the whole process, with nothing in our log, if the
metadata reply names no broker (`rdkafka_admin.c`: ``Assertion 'rko_result' failed``; seen in 2.16.0 while a
broker was fenced). No other module calls them; a unit test checks that.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from core import logging
from core.clients.kafka import QUIET
from core.errors import TransientError
from core.settings import KafkaEndpoint

COMMAND = (sys.executable, "-P", "-m", "core.clients.describe_topics")
ATTEMPTS = 2
"""A child that dies is replaced, and the request repeated once."""
ANSWER_SECONDS = 20.0
"""Longer than the child's own two request timeouts."""
POLL_SECONDS = 0.1
log = logging.get("kafka")


@dataclass(frozen=True)
class TopicIdentity:
    cluster_id: str
    topic_id: str
    partitions: int


class ChildEndedError(Exception):
    """The child process ended before it answered."""


class TopicDescriber:
    """Thread-safe. Starts its child process at the first request, and again after it has died."""

    def __init__(self, endpoint: KafkaEndpoint, stopping: Callable[[], bool] = lambda: False) -> None:
        """`stopping` is called every 0.1 s while a request waits; once it returns true, the request raises
        TransientError."""
        self._endpoint = endpoint
        self._stopping = stopping
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def identities(self, topics: Iterable[str]) -> dict[str, TopicIdentity]:
        """Returns the identities of the existing ones of these topics.

        Blocks up to 20 s per attempt. Raises TransientError if Kafka does not answer for each of the topics.
        """
        wanted = sorted(set(topics))
        if not wanted:
            return {}
        with self._lock:
            answer = self._ask(wanted)
        if "error" in answer:
            what = (
                f"Kafka at {self._endpoint.bootstrap} does not describe topics {', '.join(wanted[:3])} …: "
                f"{answer['error']}"
            )
            raise TransientError(what, "is it running? see `switchboard status`")
        return {name: TopicIdentity(*found) for name, found in answer["topics"].items()}

    def identity(self, topic: str) -> TopicIdentity | None:
        """Returns the topic's identity, None if it does not exist. Blocks and raises as `identities`."""
        return self.identities([topic]).get(topic)

    def close(self) -> None:
        """Ends the child process. A later request starts another."""
        with self._lock:
            self._discard()

    def _ask(self, topics: list[str]) -> dict[str, Any]:
        ended = ""
        for _ in range(ATTEMPTS):
            if self._child is None:
                self._child = _Child(self._endpoint)
            try:
                return self._child.ask(topics, self._stopping)
            except ChildEndedError as error:
                ended = str(error)
                log.warning("the process that describes topics ended; it is started again", status=ended)
                self._discard()
            except BaseException:  # its answer may still come, and would be read as the next request's
                self._discard()
                raise
        raise TransientError(
            f"topics cannot be described: the process that asks Kafka ended by {ended}", "is Kafka healthy?"
        )

    def _discard(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """One child process, and its end with this object or with this process."""

    def __init__(self, endpoint: KafkaEndpoint) -> None:
        self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.end = weakref.finalize(self, _end, self._process)
        self._endpoint = endpoint
        self._configured = False

    def ask(self, topics: list[str], stopping: Callable[[], bool]) -> dict[str, Any]:
        """Blocks up to 20 s.

        Raises ChildEndedError, or TransientError without an answer or once `stopping` returns true.
        """
        lines = (
            [topics]
            if self._configured
            else [{"bootstrap.servers": self._endpoint.bootstrap, **QUIET}, topics]
        )
        self._send("".join(json.dumps(line) + "\n" for line in lines).encode())
        self._configured = True
        return dict(json.loads(self._receive(stopping)))

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            while data:
                data = data[self._process.stdin.write(data) :]
        except BrokenPipeError as error:
            raise ChildEndedError(self._status()) from error

    def _receive(self, stopping: Callable[[], bool]) -> bytes:
        assert self._process.stdout is not None
        pipe, received, deadline = self._process.stdout.fileno(), b"", time.monotonic() + ANSWER_SECONDS
        while not received.endswith(b"\n"):
            if stopping():
                raise TransientError("topics are not described, as this process is about to end")
            if time.monotonic() > deadline:
                raise TransientError(
                    f"Kafka at {self._endpoint.bootstrap} does not describe topics within "
                    f"{ANSWER_SECONDS:.0f} s"
                )
            if select.select([pipe], [], [], POLL_SECONDS)[0]:
                more = os.read(pipe, 1 << 16)
                if not more:
                    raise ChildEndedError(self._status())
                received += more
        return received

    def _status(self) -> str:
        """Returns how the process ended; its pipe is closed, so that it has ended or is about to."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "closing its output"
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(1)  # it ends as soon as its standard input does
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
