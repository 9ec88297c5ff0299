"""What a lander tells of itself over its metrics endpoint."""

from __future__ import annotations

import json
import time
from functools import partial

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Space
from tests.pipeline import Pipeline, eventually
from tests.stack.consumers.test_dead_letters import send
from tests.stack.consumers.test_landing import landed_count, make_shard, survey


def reported(pipeline: Pipeline) -> dict[str, float]:
    """The samples that concern surveys, summed over partitions; of no table too."""
    lines = (pipeline.home / "logs" / "lander.log").read_text().splitlines()
    port = [json.loads(line)["port"] for line in lines if '"event": "metrics"' in line][-1]
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(
        requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    ):
        for sample in family.samples:
            if sample.labels.get("table", sample.labels.get("topic", "surveys")) in (
                "surveys",
                "cdc.surveys",
            ):
                found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def grown(pipeline: Pipeline, before: dict[str, float], name: str) -> float:
    return reported(pipeline).get(name, 0) - before.get(name, 0)


def test_what_landed_what_became_a_dead_letter_and_how_fresh_it_is(pipeline: Pipeline, space: Space) -> None:
    shard, mark = space.name("acc"), space.name("metrics").encode()
    make_shard(pipeline, shard)
    survey(pipeline, shard, 1)
    eventually(lambda: landed_count(pipeline, "surveys", shard, 1))
    before, began = reported(pipeline), time.time()
    for identity in (2, 3):
        survey(pipeline, shard, identity)
    send(pipeline, b"\7" + mark)
    eventually(lambda: landed_count(pipeline, "surveys", shard, 3))
    more = partial(grown, pipeline, before)
    eventually(lambda: more("switchboard_dead_letters_total") == 1)
    assert more("switchboard_landed_records_total") == 2
    assert more("switchboard_landed_bytes_total") > 0
    assert more("switchboard_inserts_total") >= 1
    eventually(lambda: more("switchboard_committed_offset") >= 3)
    after = reported(pipeline)
    assert began - 2 < after["switchboard_landed_commit_seconds"] <= time.time()
    assert (after.get("switchboard_stopped_tables", 0), after.get("switchboard_waiting_tables", 0)) == (0, 0)
    assert after["switchboard_pending_bytes"] >= 0
