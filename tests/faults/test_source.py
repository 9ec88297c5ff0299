"""What the source does to a table while rows flow, what the operator then does, and that verify finds the
copies equal."""

from __future__ import annotations

from functools import partial

import pytest
from confluent_kafka import TopicPartition

from connectors.capture_service import CaptureService
from consumers.freshness import waiting
from consumers.replay import replay
from core.clients.kafka import admin
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION
from schemas.render.clickhouse import storage_table
from tests.faults.changing import ID, SHARD, Changing, M, N
from tests.pipeline import Pipeline, eventually

ADDED, DROPPED, RENAMED, WIDENED, KEY = "f_added", "f_dropped", "f_renamed", "f_widened", "f_key"
TRUNCATED, GONE, RECREATED, EXTRA, EMPTY = "f_truncated", "f_gone", "f_anew", "f_extra", "f_empty"
FOLLOWED, GAP, AHEAD, RESET = "f_followed", "f_gap", "f_ahead", "f_reset"


@pytest.fixture(scope="module")
def changing(faulty: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Changing:
    tables = (
        ADDED,
        DROPPED,
        RENAMED,
        WIDENED,
        KEY,
        TRUNCATED,
        GONE,
        RECREATED,
        EXTRA,
        EMPTY,
        FOLLOWED,
        GAP,
        AHEAD,
        RESET,
    )
    return Changing(faulty, tmp_path_factory.mktemp("contracts"), tables)


def loaded(pipeline: Pipeline) -> None:
    assert (
        CaptureService(pipeline.endpoints, pipeline.catalog, pipeline.control).wait_snapshots(limit=120) == []
    )


def test_a_column_added_with_a_default_requires_a_snapshot(changing: Changing) -> None:
    table = changing.fresh(ADDED)
    with changing.pipeline.lander(), changing.writing(table):
        changing.sql(f"ALTER TABLE {table} ADD COLUMN extra INT NOT NULL DEFAULT 7")
        changing.has_column(table, "extra")
    changing.declare(table, ID, M, N, 'required(4, "extra", t.Int(32), p.PUBLIC)')
    plan = changing.pipeline.command("plan").stdout
    assert "column 'extra' has values that were not captured as events" in plan
    with changing.pipeline.lander():
        changing.pipeline.apply()
        assert [state.state for state in changing.states(table)] == [NEEDS_SNAPSHOT]
        loaded(changing.pipeline)
        assert changing.equal(table)
    assert changing.states(table) == []


def test_a_dropped_column_is_dropped_here_only_when_it_is_named(changing: Changing) -> None:
    table = changing.fresh(DROPPED)
    with changing.pipeline.lander(), changing.writing(table):
        changing.sql(f"ALTER TABLE {table} DROP COLUMN n")
    changing.declare(table, ID, M)
    refused = changing.pipeline.command("apply")
    assert refused.returncode == 1
    assert f"--allow clickhouse:{table}" in refused.stdout
    assert changing.pipeline.command("apply", "--allow", f"clickhouse:{table}").returncode == 0
    with changing.pipeline.lander():
        assert changing.equal(table)


def test_a_renamed_column_requires_a_snapshot(changing: Changing) -> None:
    table = changing.fresh(RENAMED)
    with changing.pipeline.lander(), changing.writing(table):
        changing.sql(f"ALTER TABLE {table} RENAME COLUMN n TO number")
        changing.has_column(table, "number")
    changing.declare(table, ID, M, 'optional(3, "number", t.Int(32), p.PUBLIC)')
    with changing.pipeline.lander():
        changing.pipeline.apply()
        loaded(changing.pipeline)
        assert changing.equal(table)


def applied(changing: Changing, table: str) -> None:
    """Applies the contracts, and waits until the running lander goes by them."""
    before = len(changing.pipeline.lander_log("tables change", f'"cdc.{table}"'))
    changing.pipeline.apply()
    eventually(lambda: len(changing.pipeline.lander_log("tables change", f'"cdc.{table}"')) > before)


def test_a_running_lander_follows_a_column_renamed_before_any_row_has_it(changing: Changing) -> None:
    table = changing.fresh(FOLLOWED)
    with changing.pipeline.lander() as lander:
        changing.has_landed(table)
        changing.sql(f"ALTER TABLE {table} RENAME COLUMN n TO number")
        changing.declare(table, ID, M, 'optional(3, "number", t.Int(32), p.PUBLIC)')
        changing.pipeline.apply()
        changing.sql(f"INSERT INTO {table} VALUES (7, 7, 7)")
        changing.has_landed(table, "number = 7")
        loaded(changing.pipeline)
        assert changing.equal(table)
        assert lander.poll() is None


def test_values_that_do_not_fit_wait_as_dead_letters_for_a_wider_column(changing: Changing) -> None:
    table = changing.fresh(WIDENED)
    pipeline, topic = changing.pipeline, f"cdc.{table}"
    with pipeline.lander() as lander:
        with changing.writing(table):
            changing.sql(f"ALTER TABLE {table} MODIFY n BIGINT")
            changing.sql(f"INSERT INTO {table} VALUES (50, 1, 5000000000), (51, 1, 5), (52, 1, 6000000000)")
            changing.sql(f"UPDATE {table} SET n = 5 WHERE id = 50")
            changing.has_landed(table, "id = 51")
            changing.has_landed(table, "id = 50 AND n = 5")
        listed = pipeline.command("dlq", "list", "--topic", topic).stdout
        assert "2 pending, 0 replayed" in listed, listed
        changing.declare(table, ID, M, 'optional(3, "n", t.Int(64), p.PUBLIC)')
        applied(changing, table)
        pipeline = changing.pipeline
        changing.sql(f"INSERT INTO {table} VALUES (53, 1, 7000000000)")
        changing.has_landed(table, "n = 7000000000")
        assert replay(
            pipeline.endpoints, pipeline.settings.landing, pipeline.catalog, pipeline.control, topic, "Int32"
        ) == (2, 0)
        changing.has_landed(table, "n = 6000000000")
        assert pipeline.landed(f"SELECT n FROM base.{table} WHERE id = 50") == [(5,)]
        assert changing.equal(table)
        assert lander.poll() is None
    again = pipeline.command("dlq", "replay", "--topic", topic)
    assert (again.returncode, again.stdout.strip()) == (0, "0 landed, 0 could not be landed")
    assert pipeline.command("dlq", "list", "--topic", topic).stdout.strip() == "0 pending, 2 replayed"
    assert "replayed" in pipeline.command("dlq", "list", "--topic", topic, "--all").stdout


def test_a_lander_that_knows_a_wider_contract_waits_until_it_is_applied(changing: Changing) -> None:
    """ClickHouse would cut off what does not fit."""
    table = changing.fresh(AHEAD)
    with changing.pipeline.lander():
        changing.has_landed(table, "id = 1")
    changing.sql(f"ALTER TABLE {table} MODIFY n BIGINT")
    changing.declare(table, ID, M, 'optional(3, "n", t.Int(64), p.PUBLIC)')
    with changing.pipeline.lander() as lander:
        changing.sql(f"INSERT INTO {table} VALUES (10, 1, 5000000000)")
        lines = eventually(lambda: changing.pipeline.lander_log("table waits", f'"{table}"'))
        assert "column n is Nullable(Int32), its values are Nullable(Int64)" in lines[0]
        assert "run `switchboard apply`" in lines[0]
        changing.pipeline.apply()
        changing.has_landed(table, "id = 10 AND n = 5000000000")
        assert changing.equal(table)
        assert lander.poll() is None


def test_a_wider_key_column_rebuilds_the_table(changing: Changing) -> None:
    table = changing.fresh(KEY)
    with changing.pipeline.lander(), changing.writing(table):
        changing.sql(f"ALTER TABLE {table} MODIFY id BIGINT")
        changing.sql(f"INSERT INTO {table} VALUES (5000000000, 1, 1)")
    changing.declare(table, ID.replace("32", "64"), M, N)
    with changing.pipeline.lander(), changing.writing(table):
        changing.pipeline.apply()
    pipeline = changing.pipeline
    replay(
        pipeline.endpoints, pipeline.settings.landing, pipeline.catalog, pipeline.control, f"cdc.{table}", ""
    )
    with changing.pipeline.lander():
        assert changing.equal(table)
    assert pipeline.landed(f"SELECT count() FROM base.{table} WHERE id = 5000000000") == [(1,)]


def test_a_truncated_table_freezes_until_its_old_rows_are_deleted(changing: Changing) -> None:
    table = changing.fresh(TRUNCATED)
    with changing.pipeline.lander():
        changing.has_landed(table)
        changing.sql(f"TRUNCATE TABLE {table}")
        changing.sql(f"INSERT INTO {table} VALUES (2, 20, 20)")
        eventually(
            lambda: (
                [(state.state, state.shard) for state in changing.states(table)]
                == [(NEEDS_VERIFICATION, SHARD)]
            )
        )
        changing.has_landed(table, "m = 20")
        assert "truncated the table" in changing.pipeline.command("lag").stdout
        eventually(lambda: changing.pipeline.command("verify", table).returncode == 1)
        assert changing.states(table)
        repaired = changing.pipeline.command("verify", table, "--repair")
        assert repaired.returncode == 0, repaired.stdout
    assert changing.states(table) == []
    assert changing.pipeline.landed(f"SELECT id, m FROM base.{table}") == [(2, 20)]


def test_the_rows_of_a_dropped_table_are_deleted_only_upon_request(changing: Changing) -> None:
    table = changing.fresh(GONE)
    with changing.pipeline.lander():
        changing.has_landed(table)
        changing.sql(f"DROP TABLE {table}")
        kept = changing.pipeline.command("verify", table, "--repair")
        assert kept.returncode == 1
        assert "--dropped" in " ".join(kept.stdout.split())
        assert [state.state for state in changing.states(table)] == [NEEDS_VERIFICATION]
        deleted = changing.pipeline.command("verify", table, "--repair", "--dropped")
        assert deleted.returncode == 0, deleted.stdout
    assert changing.states(table) == []
    assert changing.pipeline.landed(f"SELECT count() FROM base.{table}") == [(0,)]


def test_a_topic_recreated_under_a_running_lander_is_a_new_generation(changing: Changing) -> None:
    table = changing.fresh(RECREATED)
    pipeline, topic = changing.pipeline, f"cdc.{table}"
    with pipeline.lander() as lander:
        with changing.writing(table):
            changing.has_landed(table, "id > 100")
            client = admin(pipeline.endpoints.kafka)
            revoked = len(pipeline.lander_log('"revoked"'))
            client.delete_topics([topic])[topic].result(30)
            changing.sql(f"DELETE FROM {table} WHERE id = 1")
            # it has seen that the topic is gone
            eventually(lambda: len(pipeline.lander_log('"revoked"')) > revoked)
            pipeline.apply()
            pipeline.heal()
            eventually(lambda: pipeline.lander_log(f'"{table}"', "was recreated"))
        assert {state.state for state in changing.states(table)} >= {NEEDS_VERIFICATION}
        loaded(pipeline)
        repaired = pipeline.command("verify", table, "--repair")
        assert repaired.returncode == 0, repaired.stdout
        assert lander.poll() is None
    assert changing.states(table) == []
    assert pipeline.landed(f"SELECT min(_version) >= {2 << 48} FROM base.{table}") == [(1,)]


def test_records_that_expired_before_they_landed_require_a_snapshot(changing: Changing) -> None:
    table = changing.fresh(GAP)
    pipeline, topic = changing.pipeline, f"cdc.{table}"
    with pipeline.lander():
        changing.has_landed(table)
        eventually(
            lambda: (
                waiting(pipeline.endpoints.kafka, pipeline.settings.landing.group, pipeline.catalog)[table]
                == 0
            )
        )
    changing.sql(f"INSERT INTO {table} VALUES {', '.join(f'({number}, 1, 1)' for number in range(10, 50))}")
    changing.sql(f"UPDATE {table} SET m = 7 WHERE id = 1")
    changing.sql(f"DELETE FROM {table} WHERE id = 2")
    CaptureService(pipeline.endpoints, pipeline.catalog, pipeline.control).wait_until_caught_up(
        pipeline.endpoints.mysql[0]
    )
    gone = [TopicPartition(topic, number, -1) for number in range(pipeline.settings.topics.partitions)]
    client = admin(pipeline.endpoints.kafka)
    for future in client.delete_records(gone).values():
        future.result()
    with pipeline.lander() as lander:
        (line,) = eventually(lambda: pipeline.lander_log("table stopped", f'"{table}"'))
        assert "the records after the committed offset have expired" in line
        assert (
            f"> offsets {topic}: start at the log's start, as records expired before they had landed"
            in pipeline.command("plan").stdout
        )
        assert (
            f"{table} into {topic} again; records of {topic} expired before they had landed"
            in pipeline.command("apply").stdout
        )
        assert NEEDS_VERIFICATION in {state.state for state in changing.states(table)}
        loaded(pipeline)
        repaired = pipeline.command("verify", table, "--repair")
        assert repaired.returncode == 0, repaired.stdout
        assert changing.equal(table)
        assert changing.states(table) == []
        assert "offsets" not in pipeline.command("plan").stdout
        assert lander.poll() is None


def test_an_extra_row_that_the_application_inserts_during_repair_stays(changing: Changing) -> None:
    table = changing.fresh(EXTRA)
    pipeline, rows = changing.pipeline, storage_table(changing.pipeline.catalog[table])
    with pipeline.lander():
        changing.has_landed(table)
        pipeline.clickhouse.command(
            f"INSERT INTO {rows} SELECT * REPLACE (500 AS id) FROM (SELECT * FROM {rows} FINAL WHERE id = 1)"
        )
        (found,) = pipeline.decided(table)
        assert [row.kind for row in found.differences] == ["extra in ClickHouse"]
        changing.sql(f"INSERT INTO {table} VALUES (500, 5, 5)")
        assert pipeline.command("verify", table, "--repair").returncode == 0
        assert changing.equal(table)
    assert pipeline.landed(f"SELECT m FROM base.{table} WHERE id = 500") == [(5,)]


def test_an_empty_table_is_equal(changing: Changing) -> None:
    table = changing.fresh(EMPTY)
    with changing.pipeline.lander():
        changing.has_landed(table)
        changing.sql(f"DELETE FROM {table}")
        assert changing.equal(table)
    assert changing.pipeline.landed(f"SELECT count() FROM base.{table}") == [(0,)]


def test_a_reset_binlog_is_noticed_and_every_table_read_again(changing: Changing) -> None:
    table, pipeline = changing.fresh(RESET), changing.pipeline
    with pipeline.lander():
        changing.has_landed(table)
        pipeline.sql("RESET BINARY LOGS AND GTIDS")
        changing.sql(f"INSERT INTO {table} VALUES (10, 1, 1)")
        changing.sql(f"DELETE FROM {table} WHERE id = 1")
        eventually(lambda: "does not know the transactions that were read" in pipeline.command("lag").stdout)
        assert succeeds(pipeline, "connectors", "restart", "mysql-main")
        eventually(lambda: "FAILED" in pipeline.command("connectors", "status", "mysql-main").stdout)
        assert "does not know the transactions that were read" in pipeline.command("lag").stdout
        with pipeline.watch():
            eventually(lambda: {NEEDS_SNAPSHOT, NEEDS_VERIFICATION} == marks(changing, table))
        for words in (("stop",), ("offsets", "reset"), ("resume",)):
            confirmed = ("--yes",) if "reset" in words else ()
            eventually(partial(succeeds, pipeline, "connectors", *words, "mysql-main", *confirmed))
        pipeline.heal()
        assert pipeline.command("apply").returncode == 0
        loaded(pipeline)
        assert pipeline.command("verify", table, "--repair").returncode == 0
        assert changing.equal(table)
        assert "does not know" not in pipeline.command("lag").stdout


def succeeds(pipeline: Pipeline, *words: str) -> bool:
    return pipeline.command(*words).returncode == 0


def marks(changing: Changing, table: str) -> set[str]:
    return {state.state for state in changing.states(table)}
