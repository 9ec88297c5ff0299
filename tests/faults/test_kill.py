"""Each server, and the lander, killed in the middle of traffic: verify finds the copies equal afterwards."""

from __future__ import annotations

import pytest

from switchboard import stack as local_stack
from tests.faults.running import Running, made, settled
from tests.pipeline import Pipeline, end

SERVERS = ("clickhouse", "registry", "connect", "kafka")


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_server_loses_and_doubles_nothing(faulty: Pipeline, server: str) -> None:
    with faulty.lander() as lander:
        with Running(faulty) as traffic:
            made(traffic, 300)
            local_stack.kill(faulty.home, server)
            made(traffic, 300)
        local_stack.start_part(faulty.home, server)
        faulty.heal()
        assert settled(faulty)
        assert lander.poll() is None


def test_a_killed_lander_loses_and_doubles_nothing(faulty: Pipeline) -> None:
    with Running(faulty) as traffic:
        first = faulty.start_lander()
        made(traffic, 300)
        first.kill()
        first.wait()
        made(traffic, 100)
        second = faulty.start_lander()
        third = faulty.start_lander()
        made(traffic, 300)
        second.kill()
        second.wait()
        made(traffic, 100)
    assert settled(faulty)
    assert end(third) == 0
