"""A supervisor's stream, from a change in MySQL to the client, over both transports."""

from __future__ import annotations

import datetime as dt

import grpc
import pytest
import requests

from tests.pipeline import Pipeline, eventually
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import STATES, Centre, utc_now
from tests.stack.streamer.server import Page, Server, metric_value, states, streaming, token, watch


def test_a_change_reaches_present_and_later_subscribers(server: Server, centre: Centre) -> None:
    agent = centre.agents[0]
    messages = watch(server, token(centre.account))
    page = Page().until(messages, lambda page: len(page.agents) == len(centre.agents))
    centre.activity(agent, "break")
    assert (
        page.until(messages, lambda page: states(page)[agent] == "break").agents[agent].name
        == f"Agent {agent} 🦊"
    )
    later = Page()
    later.take(next(watch(server, token(centre.account))))
    assert states(later) == states(page)


def test_figures_match_the_formulas_after_traffic_and_a_kill(
    server: Server, centre: Centre, pipeline: Pipeline
) -> None:
    centre.work(80)
    world = centre.world()
    wanted = {identity: row[2] for identity, row in reference.status(world).items()}
    offered = sum(row[0] for row in reference.minutes(world).values())

    def right(page: Page) -> bool:
        return (
            states(page) == wanted
            and sum(queue.windows[2].offered for queue in page.queues.values()) == offered
        )

    Page().until(watch(server, token(centre.account)), right)
    with streaming(pipeline) as other:
        Page().until(watch(other, token(centre.account)), right)
        other.process.kill()
        other.process.wait()
    with streaming(pipeline) as again:
        Page().until(watch(again, token(centre.account)), right)


def test_occupancy_is_computed_from_activities_and_equal_after_a_restart(
    server: Server, centre: Centre, pipeline: Pipeline
) -> None:
    begin = utc_now() - dt.timedelta(minutes=20)
    for agent in centre.agents:
        for minute in centre.random.sample(range(15), 8):  # in no order
            centre.activity(agent, centre.random.choice(STATES), begin + dt.timedelta(minutes=minute))
        # so that time alone changes nothing
        centre.activity(agent, "offline", begin + dt.timedelta(minutes=15))
    wanted = reference.occupancy(centre.world(), begin, utc_now())
    assert all(value is not None and 0 < value < 1 for value in wanted.values())

    def right(page: Page) -> bool:
        found = {number: queue.windows[1].occupancy for number, queue in page.queues.items()}
        return found == pytest.approx(wanted)

    Page().until(watch(server, token(centre.account)), right)
    with streaming(pipeline) as again:
        Page().until(watch(again, token(centre.account)), right)


def test_another_tenant_s_token_shows_nothing_of_this_one(server: Server, centre: Centre) -> None:
    eventually(lambda: next(watch(server, token(centre.account))).agents)
    message = next(watch(server, token(centre.account + 500_000)))
    assert (list(message.agents), list(message.queues), message.snapshot) == ([], [], True)


def test_a_token_shows_its_teams_only(server: Server, centre: Centre) -> None:
    team = centre.account * 10
    eventually(lambda: len(next(watch(server, token(centre.account))).agents) == len(centre.agents))
    assert {agent.team_id for agent in next(watch(server, token(centre.account, [team]))).agents} == {team}


def test_a_stream_ends_when_its_token_does(server: Server, centre: Centre) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(watch(server, token(centre.account, minutes=2 / 60)))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == "the token has expired"


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense"])
def test_without_a_valid_token_calls_are_refused(server: Server, authorization: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(server, authorization))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    answer = requests.post(
        server.page + "switchboard.v1.Supervisor/Timeline",
        json={"agentId": 1},
        headers={"Authorization": authorization},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_the_page_is_served_with_strict_headers_and_nothing_beside_it(server: Server) -> None:
    page = requests.get(server.page, timeout=10)
    assert "<title>Switchboard</title>" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert requests.get(server.page + "..%2f..%2fcli.py", timeout=10).status_code == 404


def test_metrics_count_watchers_and_refusals(centre: Centre, pipeline: Pipeline) -> None:
    with streaming(pipeline) as server:
        stream = watch(server, token(centre.account))
        assert next(stream).snapshot
        eventually(lambda: metric_value(server, "switchboard_watchers") == 1)
        stream.close()  # type: ignore[attr-defined]
        eventually(lambda: metric_value(server, "switchboard_watchers") == 0)
        with pytest.raises(grpc.RpcError):
            next(watch(server, "Basic c3VwZXI6dmlzb3I="))
        assert metric_value(server, 'switchboard_refusals_total{reason="a bearer token is required"}') == 1


def test_a_drain_ends_streams_with_an_error(centre: Centre, pipeline: Pipeline) -> None:
    with streaming(pipeline) as server:
        messages = watch(server, token(centre.account))
        next(messages)
        server.process.terminate()
        with pytest.raises(grpc.RpcError) as caught:
            list(messages)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(30) == 0
