"""`switchboard up --all`: the lake and Flink beside the rest, healthy and on loopback only."""

from __future__ import annotations

from pathlib import Path

import psutil
import pyarrow as pa
import requests

from switchboard import stack as local_stack
from switchboard.stack import health, services
from switchboard.stack.supervisord import stack_processes
from tests.conftest import Space
from tests.pipeline import eventually
from tests.stack.conftest import Whole


def test_every_service_runs_and_answers(whole_home: Path) -> None:
    endpoints = local_stack.endpoints(whole_home)
    assert {service.name: service.state for service in local_stack.statuses(whole_home)} == dict.fromkeys(
        services.BASE + services.OPTIONAL, "RUNNING"
    )
    assert [name for name in services.BASE + services.OPTIONAL if not health.answers(name, endpoints)] == []


def test_nothing_listens_beyond_loopback(whole_home: Path) -> None:
    addresses = {
        connection.laddr.ip
        for process in stack_processes(whole_home)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert addresses


def test_a_table_of_the_lake_gives_back_what_was_written(whole: Whole, space: Space) -> None:
    namespace = space.name("whole")
    rows = pa.table({"id": [1, 2], "name": ["Ada", "Zoë"]})
    whole.lake.create_namespace(namespace)
    table = whole.lake.create_table((namespace, "people"), rows.schema)
    table.append(rows)
    assert whole.lake.load_table((namespace, "people")).scan().to_arrow().to_pylist() == rows.to_pylist()


def test_flink_has_a_free_slot_and_finishes_a_bounded_job(whole: Whole) -> None:
    assert requests.get(f"{whole.flink.url}/overview", timeout=5).json()["slots-available"] > 0
    numbers = (
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', "
        "'number-of-rows' = '1000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = "
        "'1000')"
    )
    nowhere = "CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole')"
    statements = [
        numbers,
        nowhere,
        "SELECT COUNT(*), SUM(n) FROM numbers",
        "INSERT INTO nowhere SELECT n FROM numbers",
    ]
    answers = whole.client.run(statements, {"execution.runtime-mode": "BATCH"})
    assert answers[2] == {"rows": [[1000, 500_500]]}
    job = f"{whole.flink.url}/jobs/{answers[3]['job']}"
    eventually(lambda: requests.get(job, timeout=5).json()["state"] == "FINISHED")
