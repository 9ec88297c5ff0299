"""What a supervisor sees after a server was killed: the page recovers by itself and shows what Python computes from MySQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from core.control.results import pointers
from flink_jobs.jobs import job_named
from flink_jobs.submit import Submitter
from switchboard import stack as local_stack
from switchboard.stack import parts
from switchboard.stack.progress import Progress
from tests.browser import opened, states
from tests.conftest import STATE, Space
from tests.flink_client import warm_elsewhere
from tests.pipeline import Pipeline, eventually, make_pipeline
from tests.stack.flink_jobs import reference, results
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer import shown
from tests.stack.streamer.serving import Server, streaming, token

FLINK = ("flink-jobmanager", "flink-taskmanager")
JOBS = ("agent_status", "queue_stats", "queue_minutes")


@pytest.fixture(scope="module")
def live(faulty: Pipeline) -> Iterator[Pipeline]:
    endpoints = local_stack.up(faulty.home, Progress(), (*parts.BASE, *FLINK), artefacts=STATE / "artefacts")
    assert endpoints.flink is not None
    made = make_pipeline(faulty.home, endpoints)
    client = warm_elsewhere(local_stack.flink_client(faulty.home, endpoints.flink, STATE / "artefacts")).paced(made.settings.flink)
    Submitter(endpoints, made.catalog.at(pointers(made.control)), client, made.control).submit([job_named(name) for name in JOBS])
    with made.lander():
        yield made
    made.control.close()
    made.clickhouse.close()
    for part in reversed(FLINK):
        local_stack.stop_part(faulty.home, part)


@pytest.fixture(scope="module")
def server(live: Pipeline) -> Iterator[Server]:
    with streaming(live) as made:
        yield made


@pytest.mark.parametrize("part", ["flink-taskmanager", "clickhouse"])
def test_the_page_is_right_again_after_a_server_was_killed(live: Pipeline, server: Server, page: Page, space: Space, part: str) -> None:
    centre = Centre(live, space)
    opened(page, server.page, token(centre.account))
    centre.work(40)
    eventually(lambda: set(states(page)) == set(centre.agents))
    local_stack.kill(live.home, part)
    centre.work(40)
    local_stack.start_part(live.home, part)
    live.heal()
    centre.work(20)
    world = centre.world()
    wanted = {agent: row[2] for agent, row in reference.status(world).items()}
    eventually(lambda: states(page) == wanted, within=120)
    eventually(lambda: shown.agree(page, world))
    results.becomes(results.status, centre, reference.status(world))
    results.becomes(results.stats, centre, reference.stats(world))
    results.becomes(results.minutes, centre, reference.minutes(world))
