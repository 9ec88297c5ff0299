"""`land`, `connectors watch` and `stream` beside servers that are killed or away: each goes on afterwards,
and ends when it is told to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psutil
import pymysql
import pytest

from switchboard import stack as local_stack
from tests.faults.running import away, held, is_equal, traffic_of, wait_for_changes
from tests.launching import Process
from tests.pipeline import Pipeline, eventually
from tests.soak import scaled
from tests.stack.streamer.server import Server, streaming, token, watch

SERVERS = ("mysql", "kafka", "clickhouse", "registry", "connect")
AWAY_SECONDS = scaled(3, 20)
"""Longer than a lander's `check_seconds`: it asks Kafka and the control database in that time."""
SINGLY: tuple[tuple[str, ...], ...] = tuple((server,) for server in SERVERS)
HELD = (*scaled(SINGLY[-1:], SINGLY), SERVERS)
INSIDE_SECONDS = 2
"""Longer than the second between two polls of the watch, so that each process waits inside a call when it is
told to end."""
END_SECONDS = 10
"""Twice what is promised: this machine has two cores, and each process has to be scheduled for its last
words."""


@contextmanager
def processes(pipeline: Pipeline) -> Iterator[tuple[Mapping[str, Process], Server]]:
    """All three, once each has begun.

    A table that waits for longer than the lander's `retry_seconds` must not stop.
    """
    assigned, watched = len(pipeline.lander_log('"assigned"')), len(pipeline.log_lines("watch", '"metrics"'))
    with (
        pipeline.lander(session_seconds="6", retry_seconds="1") as lander,
        pipeline.watch() as watcher,
        streaming(pipeline) as server,
    ):
        eventually(lambda: len(pipeline.lander_log('"assigned"')) > assigned)
        eventually(lambda: len(pipeline.log_lines("watch", '"metrics"')) > watched)
        yield {"land": lander, "watch": watcher, "stream": server.process}, server


def other_describer(process: Process, than: psutil.Process | None) -> psutil.Process:
    """Waits for a child that asks Kafka about topics, and returns it."""

    def found() -> psutil.Process | None:
        children = [child for child in psutil.Process(process.pid).children() if child != than]
        return next((child for child in children if "core.clients.describe_topics" in child.cmdline()), None)

    child = eventually(found)
    assert isinstance(child, psutil.Process)
    return child


def kill_during_traffic(faulty: Pipeline, part: str) -> None:
    """Traffic, in the middle of which the part is killed, to be started again by the stack's supervisor; it
    writes on, unless its own connection ended with MySQL."""
    running = traffic_of(faulty)
    try:
        with running as traffic:
            wait_for_changes(traffic, 100)
            local_stack.kill(faulty.home, part)
            if part == "mysql":
                eventually(lambda: running.failure)
            else:
                wait_for_changes(traffic, 100)
    except pymysql.err.MySQLError:
        assert part == "mysql"
    local_stack.start_service(faulty.home, part)  # which waits for it


def test_they_outlive_each_server_killed_and_away_without_loss_or_duplicates(faulty: Pipeline) -> None:
    with processes(faulty) as (running, server):
        for part in SERVERS:
            kill_during_traffic(faulty, part)
            waited = len(faulty.lander_log("table waits", "ClickHouse", "does not answer"))
            with ExitStack() as stack:
                if part != "mysql":  # the traffic's own connection would end it
                    # more would take the cores from the servers that start
                    stack.enter_context(traffic_of(faulty, rate=30))
                stack.enter_context(away(faulty, part, at_once=True))
                time.sleep(AWAY_SECONDS)  # the absence itself is what is tested
            with traffic_of(faulty) as traffic:
                wait_for_changes(traffic, 100)
            faulty.heal()
            ended = {name: process.poll() for name, process in running.items() if process.poll() is not None}
            assert ended == {}, f"after {part} was away"
            assert is_equal(faulty), f"after {part} was away"
            assert next(watch(server, token(1))).snapshot
            if part == "clickhouse":
                assert len(faulty.lander_log("table waits", "ClickHouse", "does not answer")) > waited


def test_they_outlive_the_death_of_the_process_that_describes_topics(faulty: Pipeline) -> None:
    """librdkafka aborts it when a metadata reply names no broker."""
    with processes(faulty) as (running, server), traffic_of(faulty) as traffic:
        for number in (signal.SIGABRT, signal.SIGKILL):
            for name in ("land", "stream"):
                child = other_describer(running[name], than=None)
                child.send_signal(number)
                child.wait(10)
                other_describer(running[name], than=child)
        wait_for_changes(traffic, 100)
        assert {name: process.poll() for name, process in running.items()} == dict.fromkeys(running)
        assert next(watch(server, token(1))).snapshot
    with faulty.lander():
        assert is_equal(faulty)


@pytest.mark.parametrize("parts", HELD, ids="+".join)
def test_they_end_upon_sigterm_whatever_does_not_answer(faulty: Pipeline, parts: tuple[str, ...]) -> None:
    with processes(faulty) as (running, _), traffic_of(faulty) as traffic:
        wait_for_changes(traffic, 50)
        with ExitStack() as stack:
            for part in parts:
                stack.enter_context(held(faulty, part))
            time.sleep(INSIDE_SECONDS)
            for process in running.values():
                os.kill(process.pid, signal.SIGTERM)
            statuses = {name: process.wait(END_SECONDS) for name, process in running.items()}
    assert statuses == dict.fromkeys(running, 0)
    with faulty.lander():
        assert is_equal(faulty)
