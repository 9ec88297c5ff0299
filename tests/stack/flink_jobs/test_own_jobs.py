"""A database that is not the sample's: a folder of contracts, a folder of jobs, and queries of both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
import requests

from tests.conftest import Space
from tests.launching import ROOT
from tests.pipeline import CONTRACTS, Pipeline, eventually
from tests.stack.conftest import Whole
from tests.stack.streamer.server import Server, streaming, token, watch
from tests.stack.streamer.test_query import rows

JOB = "open_tickets"


@pytest.fixture(scope="module")
def shop(pipeline: Pipeline, whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The pipeline as its operator sees it: the settings name these folders and nothing of the sample."""
    assert whole
    contracts = tmp_path_factory.mktemp("contracts")
    shutil.copy(CONTRACTS / "shop.py", contracts)
    return replace(pipeline, contracts=contracts, jobs=str(ROOT / "tests" / "jobs"))


@pytest.fixture
def customer(shop: Pipeline, space: Space) -> Iterator[int]:
    """The only customer of a shard of its own."""
    database = space.name("shop")
    shop.sql(f"CREATE DATABASE {database}")
    shop.sql(
        "CREATE TABLE tickets (ticket_id BIGINT UNSIGNED PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, "
        "state VARCHAR(20) NOT NULL, subject TEXT)",
        database=database,
    )
    customer = 1_000_000 + space.number
    for number, state in enumerate(("open", "open", "closed")):
        shop.sql(
            "INSERT INTO tickets VALUES (%s, %s, %s, 'Hello')",
            customer * 10 + number,
            customer,
            state,
            database=database,
        )
    yield customer
    shop.sql(f"DROP DATABASE {database}")


def run(shop: Pipeline, *words: str) -> str:
    done = shop.command(*words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def landed(shop: Pipeline, customer: int) -> list[tuple[Any, ...]]:
    return shop.landed(f"SELECT tickets, open_ones FROM realtime.open_tickets WHERE customer_id = {customer}")


def test_a_job_in_a_folder_of_its_own_is_run_stopped_restored_and_backfilled(
    shop: Pipeline, customer: int, space: Space
) -> None:
    database = space.name("shop")
    assert [line.split()[0] for line in run(shop, "flink", "list").splitlines()] == ["job", JOB]
    run(shop, "flink", "submit")
    eventually(lambda: landed(shop, customer) == [(3, 2)])
    stopped = run(shop, "flink", "stop", JOB).strip()
    shop.sql("UPDATE tickets SET state = 'closed'", database=database)
    run(shop, "flink", "restore", JOB, stopped)
    eventually(lambda: landed(shop, customer) == [(3, 0)])
    shop.sql("DELETE FROM tickets", database=database)
    eventually(lambda: landed(shop, customer) == [])

    run(shop, "backfill", "plan", JOB)
    run(shop, "backfill", "run", JOB)
    assert "different" not in run(shop, "backfill", "diff", JOB, "--rest", "0")
    run(shop, "backfill", "drop", JOB)
    run(shop, "flink", "cancel", JOB)


@pytest.fixture(scope="module")
def queries(shop: Pipeline) -> Iterator[Server]:
    with streaming(shop) as server:
        yield server


def test_without_the_sample_s_tables_the_streamer_answers_queries(
    shop: Pipeline, queries: Server, customer: int
) -> None:
    analyst = token(customer, scope="analytics")
    eventually(lambda: rows(queries, analyst, "tickets.rows").num_rows == 3)
    assert rows(queries, analyst, "tickets.rows").column_names == ["ticket_id", "customer_id", "state"]
    assert rows(queries, token(customer + 500_000, scope="analytics"), "tickets.rows").num_rows == 0


def test_without_the_sample_s_tables_clients_of_the_live_views_learn_that_there_are_none(
    queries: Server,
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        next(watch(queries, token(1)))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "serves queries only" in requests.get(queries.page, timeout=10).text
    watched = requests.post(f"{queries.page}switchboard.v1.Supervisor/Watch", data=b"", timeout=10)
    assert watched.status_code == 404, "clients of the Connect protocol read it as `unimplemented`"
