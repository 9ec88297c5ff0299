"""Commands that only print: what they print can be used."""

from __future__ import annotations

import json

import pytest
import requests

from core.settings import Endpoints
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import make_shard, survey

RENDERED = {
    "clickhouse": "CREATE TABLE IF NOT EXISTS landed.`surveys`",
    "connect": "table.include.list = ",
    "flink": "CREATE TABLE",
    "iceberg": '"identifier-field-ids"',
    "landing": "INSERT INTO landed.`surveys`",
}


def run_command(pipeline: Pipeline, *words: str) -> str:
    done = pipeline.command(*words)
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def test_a_contract_is_printed_as_every_target_has_it(pipeline: Pipeline, space: Space) -> None:
    shard = space.name("acc")
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1)
    eventually(lambda: pipeline.landed(f"SELECT 1 FROM base.surveys WHERE _shard = '{shard}'"))
    for target, text in RENDERED.items():
        assert text in run_command(pipeline, "contracts", "show", "surveys", "--target", target)


def test_endpoints_are_printed_so_that_any_client_can_log_in(pipeline: Pipeline) -> None:
    output = json.loads(run_command(pipeline, "endpoints", "--json"))
    assert Endpoints.model_validate(output).clickhouse == pipeline.endpoints.clickhouse
    at = output["clickhouse"]
    answer = requests.get(
        f"http://{at['host']}:{at['http_port']}/?query=SELECT+7",
        auth=(at["user"], at["password"]),
        timeout=10,
    )
    assert answer.text == "7\n"


def test_a_server_s_log_is_printed(pipeline: Pipeline) -> None:
    if pipeline.settings.endpoints is not None or not (pipeline.home / "state.json").exists():
        pytest.skip("the servers' logs are the containers'")
    assert len(run_command(pipeline, "logs", "mysql", "--lines", "2").splitlines()) == 2
    assert pipeline.command("logs", "nobody").returncode == 1


def test_clickhouse_s_user_without_a_password_reads_nothing(pipeline: Pipeline) -> None:
    """The engine itself needs it to start its listeners."""
    at = pipeline.endpoints.clickhouse
    if not (pipeline.home / "state.json").exists():
        pytest.skip("the container's ClickHouse has users of its own")
    for query in (
        "SELECT * FROM base.surveys",
        "SELECT * FROM system.query_log",
        "SELECT * FROM file('users.xml')",
        "CREATE TABLE x (y Int8)",
    ):
        answer = requests.post(f"http://{at.host}:{at.http_port}/?user=default", data=query, timeout=10)
        assert "ACCESS_DENIED" in answer.text, query
