"""What the source does to a table while rows flow, what the operator then does, and that verify finds the copies equal."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition

from connectors.target import ConnectTarget
from consumers.freshness import waiting
from consumers.replay import replay
from core.clients.kafka import admin
from core.control.states import BACKFILL, FROZEN
from schemas.render.clickhouse import rows_table
from tests.faults.changing import ID, SHARD, Changing, M, N
from tests.pipeline import Pipeline, eventually

ADDED, DROPPED, RENAMED, WIDENED, KEY = "f_added", "f_dropped", "f_renamed", "f_widened", "f_key"
TRUNCATED, GONE, ANEW, EXTRA, EMPTY = "f_truncated", "f_gone", "f_anew", "f_extra", "f_empty"
FOLLOWED, GAP = "f_followed", "f_gap"


@pytest.fixture(scope="module")
def changing(faulty: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Changing:
    tables = (ADDED, DROPPED, RENAMED, WIDENED, KEY, TRUNCATED, GONE, ANEW, EXTRA, EMPTY, FOLLOWED, GAP)
    return Changing(faulty, tmp_path_factory.mktemp("contracts"), tables)


def loaded(pipeline: Pipeline) -> None:
    assert ConnectTarget(pipeline.endpoints, pipeline.catalog, pipeline.control).wait_snapshots(limit=120) == []


def test_a_column_added_with_a_default_is_made_up_for_by_a_backfill(changing: Changing) -> None:
    with changing.pipeline.lander(), changing.writing(ADDED):
        changing.sql(f"ALTER TABLE {ADDED} ADD COLUMN extra INT NOT NULL DEFAULT 7")
        changing.has_column(ADDED, "extra")
    changing.declare(ADDED, ID, M, N, 'required(4, "extra", t.Int(32), p.PUBLIC)')
    plan = changing.pipeline.command("plan").stdout
    assert "column 'extra' has values that no event told" in plan
    assert [state.state for state in changing.states(ADDED)] == [BACKFILL]
    with changing.pipeline.lander():
        changing.pipeline.apply()
        loaded(changing.pipeline)
        assert changing.equal(ADDED)
    assert changing.states(ADDED) == []


def test_a_dropped_column_is_dropped_here_only_when_it_is_named(changing: Changing) -> None:
    with changing.pipeline.lander(), changing.writing(DROPPED):
        changing.sql(f"ALTER TABLE {DROPPED} DROP COLUMN n")
    changing.declare(DROPPED, ID, M)
    refused = changing.pipeline.command("apply")
    assert refused.returncode == 1
    assert f"--allow clickhouse:{DROPPED}" in refused.stdout
    assert changing.pipeline.command("apply", "--allow", f"clickhouse:{DROPPED}").returncode == 0
    with changing.pipeline.lander():
        assert changing.equal(DROPPED)


def test_a_renamed_column_is_made_up_for_by_a_backfill(changing: Changing) -> None:
    with changing.pipeline.lander(), changing.writing(RENAMED):
        changing.sql(f"ALTER TABLE {RENAMED} RENAME COLUMN n TO number")
        changing.has_column(RENAMED, "number")
    changing.declare(RENAMED, ID, M, 'optional(3, "number", t.Int(32), p.PUBLIC)')
    with changing.pipeline.lander():
        changing.pipeline.apply()
        loaded(changing.pipeline)
        assert changing.equal(RENAMED)


def applied(changing: Changing, table: str) -> None:
    """Applies the contracts, and waits until the running lander goes by them."""
    before = len(changing.pipeline.lander_told("tables change", f'"cdc.{table}"'))
    changing.pipeline.apply()
    eventually(lambda: len(changing.pipeline.lander_told("tables change", f'"cdc.{table}"')) > before)


def test_a_column_renamed_before_a_row_tells_of_it_is_followed_by_a_running_lander(changing: Changing) -> None:
    with changing.pipeline.lander() as lander:
        changing.has_landed(FOLLOWED)
        changing.sql(f"ALTER TABLE {FOLLOWED} RENAME COLUMN n TO number")
        changing.declare(FOLLOWED, ID, M, 'optional(3, "number", t.Int(32), p.PUBLIC)')
        changing.pipeline.apply()
        changing.sql(f"INSERT INTO {FOLLOWED} VALUES (7, 7, 7)")
        changing.has_landed(FOLLOWED, "number = 7")
        loaded(changing.pipeline)
        assert changing.equal(FOLLOWED)
        assert lander.poll() is None


def test_values_that_do_not_fit_wait_as_dead_letters_for_a_wider_column(changing: Changing) -> None:
    pipeline, topic = changing.pipeline, f"cdc.{WIDENED}"
    with pipeline.lander() as lander:
        with changing.writing(WIDENED):
            changing.sql(f"ALTER TABLE {WIDENED} MODIFY n BIGINT")
            changing.sql(f"INSERT INTO {WIDENED} VALUES (50, 1, 5000000000), (51, 1, 5), (52, 1, 6000000000)")
            changing.sql(f"UPDATE {WIDENED} SET n = 5 WHERE id = 50")
            changing.has_landed(WIDENED, "id = 51")
            changing.has_landed(WIDENED, "id = 50 AND n = 5")
        listed = pipeline.command("dlq", "list", "--topic", topic).stdout
        assert "2 wait, 0 have landed by a replay" in listed, listed
        changing.declare(WIDENED, ID, M, 'optional(3, "n", t.Int(64), p.PUBLIC)')
        applied(changing, WIDENED)
        pipeline = changing.pipeline
        changing.sql(f"INSERT INTO {WIDENED} VALUES (53, 1, 7000000000)")
        changing.has_landed(WIDENED, "n = 7000000000")
        assert replay(pipeline.endpoints, pipeline.settings.landing, pipeline.catalog, pipeline.control, topic, "Int32") == (2, 0)
        changing.has_landed(WIDENED, "n = 6000000000")
        assert pipeline.landed(f"SELECT n FROM base.{WIDENED} WHERE id = 50") == [(5,)]
        assert changing.equal(WIDENED)
        assert lander.poll() is None
    again = pipeline.command("dlq", "replay", "--topic", topic)
    assert (again.returncode, again.stdout.strip()) == (0, "0 landed, 0 still cannot land")
    assert pipeline.command("dlq", "list", "--topic", topic).stdout.strip() == "0 wait, 2 have landed by a replay"
    assert "landed since" in pipeline.command("dlq", "list", "--topic", topic, "--all").stdout


def test_a_wider_key_column_rebuilds_the_table(changing: Changing) -> None:
    with changing.pipeline.lander(), changing.writing(KEY):
        changing.sql(f"ALTER TABLE {KEY} MODIFY id BIGINT")
        changing.sql(f"INSERT INTO {KEY} VALUES (5000000000, 1, 1)")
    changing.declare(KEY, ID.replace("32", "64"), M, N)
    with changing.pipeline.lander(), changing.writing(KEY, first=1000):
        changing.pipeline.apply()
    pipeline = changing.pipeline
    replay(pipeline.endpoints, pipeline.settings.landing, pipeline.catalog, pipeline.control, f"cdc.{KEY}", "")
    with changing.pipeline.lander():
        assert changing.equal(KEY)
    assert pipeline.landed(f"SELECT count() FROM base.{KEY} WHERE id = 5000000000") == [(1,)]


def test_a_truncated_table_freezes_until_its_old_rows_are_deleted(changing: Changing) -> None:
    with changing.pipeline.lander():
        changing.has_landed(TRUNCATED)
        changing.sql(f"TRUNCATE TABLE {TRUNCATED}")
        changing.sql(f"INSERT INTO {TRUNCATED} VALUES (2, 20, 20)")
        eventually(lambda: [(state.state, state.shard) for state in changing.states(TRUNCATED)] == [(FROZEN, SHARD)])
        changing.has_landed(TRUNCATED, "m = 20")
        assert "truncated the table" in changing.pipeline.command("lag").stdout
        eventually(lambda: changing.pipeline.command("verify", TRUNCATED).returncode == 1)
        assert changing.states(TRUNCATED)
        repaired = changing.pipeline.command("verify", TRUNCATED, "--repair")
        assert repaired.returncode == 0, repaired.stdout
    assert changing.states(TRUNCATED) == []
    assert changing.pipeline.landed(f"SELECT id, m FROM base.{TRUNCATED}") == [(2, 20)]


def test_the_rows_of_a_dropped_table_go_only_when_told(changing: Changing) -> None:
    with changing.pipeline.lander():
        changing.has_landed(GONE)
        changing.sql(f"DROP TABLE {GONE}")
        kept = changing.pipeline.command("verify", GONE, "--repair")
        assert kept.returncode == 1
        assert "--dropped" in " ".join(kept.stdout.split())
        assert [state.state for state in changing.states(GONE)] == [FROZEN]
        deleted = changing.pipeline.command("verify", GONE, "--repair", "--dropped")
        assert deleted.returncode == 0, deleted.stdout
    assert changing.states(GONE) == []
    assert changing.pipeline.landed(f"SELECT count() FROM base.{GONE}") == [(0,)]


def test_a_topic_made_anew_under_a_running_lander_is_a_new_generation(changing: Changing) -> None:
    pipeline, topic = changing.pipeline, f"cdc.{ANEW}"
    with pipeline.lander() as lander:
        with changing.writing(ANEW):
            changing.has_landed(ANEW, "id > 100")
            client = admin(pipeline.endpoints.kafka)
            revoked = len(pipeline.lander_told('"revoked"'))
            client.delete_topics([topic])[topic].result(30)
            changing.sql(f"DELETE FROM {ANEW} WHERE id = 1")
            eventually(lambda: len(pipeline.lander_told('"revoked"')) > revoked)  # it has seen that the topic is gone
            pipeline.apply()
            pipeline.heal()
            eventually(lambda: pipeline.lander_told(f'"{ANEW}"', "made anew"))
        assert {state.state for state in changing.states(ANEW)} >= {FROZEN}
        loaded(pipeline)
        repaired = pipeline.command("verify", ANEW, "--repair")
        assert repaired.returncode == 0, repaired.stdout
        assert lander.poll() is None
    assert changing.states(ANEW) == []
    assert pipeline.landed(f"SELECT min(_version) >= {2 << 48} FROM base.{ANEW}") == [(1,)]


def test_records_that_went_before_they_had_landed_are_made_up_for(changing: Changing) -> None:
    pipeline, topic = changing.pipeline, f"cdc.{GAP}"
    with pipeline.lander():
        changing.has_landed(GAP)
        eventually(lambda: waiting(pipeline.endpoints.kafka, pipeline.settings.landing.group, pipeline.catalog)[GAP] == 0)
    changing.sql(f"INSERT INTO {GAP} VALUES {', '.join(f'({number}, 1, 1)' for number in range(10, 50))}")
    changing.sql(f"UPDATE {GAP} SET m = 7 WHERE id = 1")
    changing.sql(f"DELETE FROM {GAP} WHERE id = 2")
    ConnectTarget(pipeline.endpoints, pipeline.catalog, pipeline.control).catch_up(pipeline.endpoints.mysql[0])
    gone = [TopicPartition(topic, number, -1) for number in range(pipeline.settings.topics.partitions)]
    client = admin(pipeline.endpoints.kafka)
    for future in client.delete_records(gone).values():
        future.result()
    with pipeline.lander() as lander:
        (told,) = eventually(lambda: pipeline.lander_told("table stopped", f'"{GAP}"'))
        assert "the records after the committed offset are gone" in told
        assert f"> offsets {topic}: begin at the log's start, as records went before they had landed" in pipeline.command("plan").stdout
        assert f"{GAP} into {topic} again; records of {topic} went before they had landed" in pipeline.command("apply").stdout
        assert FROZEN in {state.state for state in changing.states(GAP)}
        loaded(pipeline)
        repaired = pipeline.command("verify", GAP, "--repair")
        assert repaired.returncode == 0, repaired.stdout
        assert changing.equal(GAP)
        assert changing.states(GAP) == []
        assert "offsets" not in pipeline.command("plan").stdout
        assert lander.poll() is None


def test_an_extra_row_that_the_application_inserts_during_repair_stays(changing: Changing) -> None:
    pipeline, table = changing.pipeline, rows_table(changing.pipeline.catalog[EXTRA])
    with pipeline.lander():
        changing.has_landed(EXTRA)
        pipeline.clickhouse.command(f"INSERT INTO {table} SELECT * REPLACE (500 AS id) FROM (SELECT * FROM {table} FINAL WHERE id = 1)")
        (found,) = pipeline.decided(EXTRA)
        assert [row.kind for row in found.differences] == ["extra in ClickHouse"]
        changing.sql(f"INSERT INTO {EXTRA} VALUES (500, 5, 5)")
        assert pipeline.command("verify", EXTRA, "--repair").returncode == 0
        assert changing.equal(EXTRA)
    assert pipeline.landed(f"SELECT m FROM base.{EXTRA} WHERE id = 500") == [(5,)]


def test_an_empty_table_is_equal(changing: Changing) -> None:
    with changing.pipeline.lander():
        changing.has_landed(EMPTY)
        changing.sql(f"DELETE FROM {EMPTY}")
        assert changing.equal(EMPTY)
    assert changing.pipeline.landed(f"SELECT count() FROM base.{EMPTY}") == [(0,)]
