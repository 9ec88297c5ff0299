"""Whether the page stays smooth while each of a thousand agents changes every second: what lies between the
frames that a browser draws.

The hub is fed here, without the servers behind it: what is measured is the page and the stream that it reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import FLAGS, chromium
from benchmarks.quantiles import quantile
from core.settings import StreamerSettings
from streamer.auth import Authenticator
from streamer.connect import supervisor_application
from streamer.sample.hub import Hub
from streamer.sample.service import Supervisor
from streamer.sample.state import Change, State
from streamer.sample.tenant import AGENTS, QUEUES
from streamer.web import Site

TENANT = 1
TEAMS, FLEET = 20, 12
STATES = ("available", "on contact", "after-contact work", "break", "incoming")
READY_SECONDS = 30.0
COUNT = """(seconds) => new Promise((resolve) => {
  const gaps = []; let before = performance.now(); const end = before + seconds * 1000;
  const next = (now) => {
    gaps.push(now - before);
    before = now;
    now < end ? requestAnimationFrame(next) : resolve(gaps);
  };
  requestAnimationFrame(next);
})"""


@dataclass(frozen=True)
class Frames:
    """Milliseconds between frames, of which a display draws one in 17.

    `idle_*` is the same page before anything changed.
    """

    agents: int
    changes_per_second: float
    frame_p50_ms: float
    frame_p99_ms: float
    longest_ms: float
    idle_p99_ms: float


def measure(settings: StreamerSettings, bearer: str, agents: int, seconds: float) -> Frames:
    """Blocks for twice `seconds` and the browser's start.

    `bearer` is a token of tenant 1 that `settings` accept.
    """
    context = multiprocessing.get_context("spawn")
    address: Any = context.Queue()
    changing, sent = context.Event(), context.Value("q", 0)
    server = context.Process(target=_serve, args=(settings, agents, address, changing, sent), daemon=True)
    server.start()
    try:
        port = address.get(timeout=READY_SECONDS)
        with _page(f"http://127.0.0.1:{port}/#token={bearer}") as page:
            page.wait_for_selector("[data-agent-id]", timeout=READY_SECONDS * 1000)
            idle = sorted(page.evaluate(COUNT, seconds))
            changing.set()
            page.wait_for_timeout(2000)
            before, began = sent.value, time.monotonic()
            gaps = sorted(page.evaluate(COUNT, seconds))
            rate = (sent.value - before) / (time.monotonic() - began)
    finally:
        server.kill()
        server.join()
    return Frames(agents, rate, quantile(gaps, 0.5), quantile(gaps, 0.99), gaps[-1], quantile(idle, 0.99))


@contextlib.contextmanager
def _page(address: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        yield page
        browser.close()


def _serve(settings: StreamerSettings, agents: int, address: Any, changing: Any, sent: Any) -> None:
    asyncio.run(_served(settings, agents, address, changing, sent))


async def _served(settings: StreamerSettings, agents: int, address: Any, changing: Any, sent: Any) -> None:
    hub = Hub(State())
    hub.apply(
        [_queue(number) for number in range(1, FLEET + 1)]
        + [_agent(number, 0) for number in range(1, agents + 1)]
    )
    timelines: Any = None  # nobody asks for one here
    site: Any = Site(supervisor_application(Supervisor(hub, timelines), Authenticator(settings)))
    server = uvicorn.Server(uvicorn.Config(site, lifespan="off", log_level="warning", port=0))
    work = [asyncio.create_task(server.serve()), asyncio.create_task(hub.run())]
    while not server.started:
        await asyncio.sleep(0.05)
    address.put(server.servers[0].sockets[0].getsockname()[1])
    work.append(asyncio.create_task(_change(hub, agents, changing, sent)))
    await asyncio.gather(*work)


async def _change(hub: Hub, agents: int, changing: Any, sent: Any) -> None:
    """Every agent once a second, a fiftieth of them every 20 ms."""
    version = 0
    while True:
        await asyncio.sleep(0.02)
        if not changing.is_set():
            continue
        version += 1
        turn = [number for number in range(1, agents + 1) if number % 50 == version % 50]
        hub.apply([_agent(number, version) for number in turn])
        sent.value += len(turn)


def _agent(number: int, version: int) -> Change:
    row = {
        "account_id": TENANT,
        "agent_id": number,
        "team_id": number % TEAMS,
        "team": f"Team {number % TEAMS}",
        "name": f"Agent {number}",
        "state": STATES[(number + version // 50) % len(STATES)],
        "reason": None,
        "since": None,
        "contacts": '{"voice":1,"chat":2}',
        "queues": f"[{number % FLEET + 1}]",
    }
    return Change(AGENTS, (TENANT, number), row, version, int(time.time() * 1000))


def _queue(number: int) -> Change:
    row: dict[str, Any] = dict.fromkeys(
        ("waiting", "in_service", "agents_available", "agents_busy", "agents_offline"), number
    )
    row |= {
        "account_id": TENANT,
        "queue_id": number,
        "name": f"Queue {number}",
        "channel": "voice",
        "target_seconds": 20,
    }
    return Change(QUEUES, (TENANT, number), row | {"oldest_waiting_since": None}, 0, int(time.time() * 1000))
