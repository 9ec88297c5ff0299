"""What a supervisor sees after a server was killed: the page recovers by itself and shows what Python
computes from MySQL."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from switchboard import stack as local_stack
from tests.browser import opened, states
from tests.pipeline import Pipeline, eventually
from tests.stack.conftest import Servers
from tests.stack.flink_jobs import reference, results
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer import expected_tiles
from tests.stack.streamer.server import Server, token


@pytest.mark.parametrize("part", ["flink-taskmanager", "clickhouse"])
def test_the_page_is_right_again_after_a_server_was_killed(
    servers: Servers, pipeline: Pipeline, server: Server, centre: Centre, page: Page, part: str
) -> None:
    if not servers.local:
        pytest.skip("kills a server of the local stack")
    opened(page, server.page, token(centre.account))
    centre.work(40)
    eventually(lambda: set(states(page)) == set(centre.agents))
    local_stack.kill(pipeline.home, part)
    centre.work(40)
    local_stack.start_service(pipeline.home, part)
    pipeline.heal()
    centre.work(20)
    world = centre.world()
    wanted = {agent: row[2] for agent, row in reference.status(world).items()}
    eventually(lambda: states(page) == wanted, within=120)
    eventually(lambda: expected_tiles.agree(page, world))
    results.becomes(results.status, centre, reference.status(world))
    results.becomes(results.stats, centre, reference.stats(world))
    results.becomes(results.minutes, centre, reference.minutes(world))
