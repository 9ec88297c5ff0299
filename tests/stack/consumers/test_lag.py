"""`switchboard lag` tells at which stage changes wait."""

from __future__ import annotations

from connectors.rest import KafkaConnect
from schemas.render.connect import connector_name
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_landing import landed_count, make_shard, survey


def reported(pipeline: Pipeline) -> str:
    (line,) = [
        line
        for line in pipeline.command("lag").stdout.splitlines()
        if line.startswith("MySQL main to Kafka: ")
    ]
    return line.partition(": ")[2]


def test_changes_that_connect_has_not_read_are_reported(pipeline: Pipeline, space: Space) -> None:
    shard, connect = space.name("acc"), KafkaConnect(pipeline.endpoints.connect)
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1)
    eventually(lambda: reported(pipeline) == "up to date")
    connect.change(connector_name("main"), "pause")
    try:
        survey(pipeline, shard, 2)
        eventually(lambda: "s behind" in reported(pipeline))
    finally:
        connect.change(connector_name("main"), "resume")
    eventually(lambda: landed_count(pipeline, "surveys", shard, 2))
    eventually(lambda: reported(pipeline) == "up to date")
