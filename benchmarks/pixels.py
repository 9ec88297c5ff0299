"""From an event in Kafka to the pixel: an agent's state as a supervisor's browser paints it, under steady
traffic."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicPartition
from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import FLAGS, chromium
from benchmarks.cores import Cores
from benchmarks.quantiles import quantile
from benchmarks.serving import Served
from core.clients import mysql
from core.clients.kafka import consumer
from core.settings import Context, Endpoints, KafkaEndpoint, Settings
from schemas.names import topic_of
from schemas.table import Table
from simulator.running import RunningTraffic
from simulator.source import accounts_of, agents_of
from simulator.traffic import Traffic

SHARD = "acc_1"
TENANT = accounts_of(0)[0]
PROBE = agents_of(TENANT)[-1] + 500
"""An agent of ours: nobody else changes its state."""
STATES = ("break", "available")
BETWEEN_SECONDS = 0.7
TIMEOUT_MS = 15_000
WARM_UP_MS = 180_000
# The agent's row is watched for the state; the frame after next has been painted when it begins.
WATCH = """([agent, state]) => new Promise((resolve) => {
  const shown = () => document.querySelector(`[data-agent-id="${agent}"]`)?.dataset.state === state;
  const painted = () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(Date.now())));
  if (shown()) return painted();
  const observer = new MutationObserver(() => { if (shown()) { observer.disconnect(); painted(); } });
  const attributeFilter = ["data-state", "data-agent-id"];
  observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter });
})"""


@dataclass(frozen=True)
class Pixels:
    """Milliseconds. The event is the change of `agent_activity`, as of its record's time in Kafka."""

    changes_per_second: float
    events: int
    from_kafka_p50_ms: float
    from_kafka_p99_ms: float
    from_commit_p50_ms: float
    from_commit_p99_ms: float
    cores: dict[str, float]
    """Whose the machine's cores were meanwhile, by process."""


def measure(
    served: Served,
    lander: int,
    bearer: str,
    context: Context,
    activities: Table,
    rate: float,
    events: int,
    warm: float,
    caught_up: Callable[[], None] = lambda: None,
) -> Pixels:
    """Calls `caught_up` when the jobs have, blocks for `warm` seconds of traffic, then for a second an event.

    Jobs and lander must run.
    """
    activity, endpoints, settings = topic_of(activities), context.endpoints, context.settings
    with (
        _probe(endpoints, settings),
        _traffic(endpoints, settings, rate) as traffic,
        _times(endpoints.kafka, activity) as written,
        _page(served, bearer) as page,
    ):
        page.wait_for_selector(f"[data-agent-id='{PROBE}']", timeout=TIMEOUT_MS * 4)
        _event(page, endpoints, -1, WARM_UP_MS)  # until the jobs have caught up
        caught_up()
        time.sleep(warm)
        cores = Cores(settings.home, {"lander": lander, "streamer": served.pid})
        began, before = time.monotonic(), sum(traffic.changes().values())
        seen = [_event(page, endpoints, number) for number in range(events)]
        seconds, changes = time.monotonic() - began, sum(traffic.changes().values()) - before
        used = cores.used()
        time.sleep(1)
    commit = sorted(pixel - committed for _, committed, pixel in seen)
    kafka = sorted(pixel - written[identity] for identity, _, pixel in seen if identity in written)
    return Pixels(
        changes / seconds,
        len(kafka),
        quantile(kafka, 0.5),
        quantile(kafka, 0.99),
        quantile(commit, 0.5),
        quantile(commit, 0.99),
        used,
    )


@contextmanager
def _probe(endpoints: Endpoints, settings: Settings) -> Iterator[None]:
    def ready(statement: str, *arguments: Any) -> None:
        with mysql.cursor(endpoints.mysql[0], settings.metadata_database) as cursor:
            cursor.execute(statement, arguments)

    ready(
        "REPLACE INTO agents (agent_id, account_id, team_id, display_name) VALUES (%s, %s, %s, 'Benchmark')",
        PROBE,
        TENANT,
        TENANT * 10,
    )
    try:
        yield
    finally:
        ready("DELETE FROM agents WHERE agent_id = %s", PROBE)


def _event(
    page: Page, endpoints: Endpoints, number: int, timeout: int = TIMEOUT_MS
) -> tuple[int, float, float]:
    """(activity's id, committed, painted), the times in ms since 1970."""
    state = STATES[number % len(STATES)]
    page.evaluate("([watch, wanted]) => { window.painted = eval(watch)(wanted); }", [WATCH, [PROBE, state]])
    identity = time.time_ns() // 1000
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with mysql.cursor(endpoints.mysql[0], SHARD) as cursor:
        cursor.execute(
            "INSERT INTO agent_activity VALUES (%s, %s, %s, %s, NULL, %s)",
            (identity, TENANT, PROBE, state, now),
        )
    committed = time.time() * 1000
    painted = float(
        page.evaluate(
            "Promise.race([window.painted, new Promise((_, no) => setTimeout(() => no('not seen'), "
            f"{timeout}))])"
        )
    )
    time.sleep(BETWEEN_SECONDS)
    return identity, committed, painted


@contextmanager
def _page(served: Served, bearer: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{served.page}#token={bearer}")
        yield page
        browser.close()


def _traffic(endpoints: Endpoints, settings: Settings, rate: float) -> RunningTraffic:
    shards = (SHARD, "acc_2")
    seed = int(time.time())
    return RunningTraffic(Traffic(endpoints.mysql[0], shards, settings.metadata_database, rate, seed))


@contextmanager
def _times(kafka: KafkaEndpoint, topic: str) -> Iterator[dict[int, float]]:
    """Activity's id -> its record's time in ms since 1970, filled while the block runs."""
    found: dict[int, float] = {}
    stop = threading.Event()
    reader = consumer(kafka, "bench-pixels", **{"auto.offset.reset": "latest"})
    reader.assign(
        [
            TopicPartition(topic, number)
            for number in reader.list_topics(topic, timeout=15).topics[topic].partitions
        ]
    )

    def read() -> None:
        while not stop.is_set():
            for message in reader.consume(500, 0.2):
                if message.error() is None and message.key() is not None:
                    identity: Any = json.loads(message.key() or b"{}").get("activity_id", 0)
                    found[int(identity)] = float(message.timestamp()[1])
        reader.close()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
