"""A failing shard stops no other: an operator or the supervisor quarantines it, and it is released once it is
repaired.

The connector does not isolate tables here, as one in a Kafka Connect without our plugins.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.auto_remediation import (
    POLL_SECONDS,
    BinlogRetentionMonitor,
    CaptureMonitor,
    QuarantinePolicy,
)
from connectors.binlog import StoredPosition, hours_left
from connectors.capture_service import CaptureService
from connectors.quarantine import Quarantine
from connectors.snapshot_tracker import FAILED
from connectors.supervisor import ConnectorSupervisor
from core.control.models import Snapshot
from core.control.quarantine_store import list_quarantined
from core.control.table_health import NEEDS_SNAPSHOT, NEEDS_VERIFICATION, conditions
from core.errors import MisconfiguredError
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.render.connect import connector_name
from schemas.table import Shards
from tests.clock import ManualClock
from tests.pipeline import eventually
from tests.stack.connectors.source import DDL, Source, contract, create_test_source

NAME = "cq"
WITHOUT_ISOLATION = {"switchboard.isolate.tables": "false"}
THINGS = contract("cq_things", Shards("cq_?"))
TWO_COLUMNS_OF_ONE_NAME = (
    "CREATE TABLE cq_things (id BIGINT PRIMARY KEY, note VARCHAR(50), `a b` INT, `a?b` INT)"
)


@pytest.fixture(scope="module")
def source(stack: Endpoints) -> Iterator[Source]:
    with create_test_source(stack, NAME, connector_settings=WITHOUT_ISOLATION) as ours:
        for shard in ("cq_1", "cq_2"):
            ours.sql("mysql", f"CREATE DATABASE {shard}")
            ours.sql(shard, DDL.format("cq_things"))
            ours.fill(shard, "cq_things", 1, 5)
        ours.apply(THINGS)
        ours.loaded(THINGS)
        yield ours


def quarantine_of(source: Source) -> Quarantine:
    return Quarantine(source.endpoints, Catalog((THINGS,)), source.control)


def quarantine(source: Source) -> list[tuple[str, bool]]:
    return [(item.database, item.automatic) for item in list_quarantined(source.control)]


def has_failed(source: Source) -> bool:
    return any(task["state"] == "FAILED" for task in source.connect.status(connector_name(NAME))["tasks"])


def flows(source: Source, identity: int, shard: str = "cq_1") -> None:
    source.fill(shard, "cq_things", identity, 1)
    eventually(
        lambda: any(
            (record.key["id"], record.shard) == (identity, shard)
            for record in source.records("cdc.cq_things")
        )
    )


def shard_conditions(source: Source, shard: str) -> set[str]:
    return {state.state for state in conditions(source.control) if state.shard == shard}


def test_the_others_continue_once_a_failing_shard_is_quarantined(source: Source) -> None:
    source.sql("mysql", "CREATE DATABASE cq_3")
    source.sql(
        "cq_3", TWO_COLUMNS_OF_ONE_NAME, "INSERT INTO cq_things VALUES (1, 'kept', 1, 1), (2, 'goes', 1, 1)"
    )
    eventually(lambda: has_failed(source))
    assert quarantine_of(source).quarantine(NAME, "cq_3", "two columns of one name") == ["cq_things"]
    flows(source, 100)
    flows(source, 101, shard="cq_2")
    assert quarantine(source) == [("cq_3", False)]
    assert shard_conditions(source, "cq_3") == {NEEDS_VERIFICATION}


def test_a_plan_skips_it(source: Source) -> None:
    assert source.plan(THINGS) == []


def test_the_watch_requests_none_of_its_snapshots(source: Source) -> None:
    failed = Snapshot(server=NAME, collection="cq_3.cq_things", status=FAILED, after_offset=0)
    with source.control.session() as session:
        session.add(failed)
    clock = ManualClock()
    watch = CaptureMonitor(CaptureService(source.endpoints, Catalog((THINGS,)), source.control), clock)
    clock.now += POLL_SECONDS
    assert watch.poll() == []


def test_released_before_it_is_repaired_it_is_quarantined_again(source: Source) -> None:
    with pytest.raises(MisconfiguredError, match="become one field"):
        quarantine_of(source).release(NAME, "cq_3")
    assert quarantine(source) == [("cq_3", False)]
    flows(source, 102)


def test_a_repaired_shard_is_snapshotted_and_stays_marked_until_verified(source: Source) -> None:
    source.sql(
        "cq_3",
        "DELETE FROM cq_things WHERE id = 2",
        "ALTER TABLE cq_things DROP COLUMN `a b`, DROP COLUMN `a?b`",
    )
    assert quarantine_of(source).release(NAME, "cq_3") == ["cq_3.cq_things"]
    source.loaded(THINGS)
    read = [
        (record.op, record.key["id"]) for record in source.records("cdc.cq_things") if record.shard == "cq_3"
    ]
    assert read == [("r", 1)]
    flows(source, 103, shard="cq_3")
    assert quarantine(source) == []
    assert shard_conditions(source, "cq_3") == {NEEDS_VERIFICATION}
    assert NEEDS_SNAPSHOT not in shard_conditions(source, "cq_3")


def test_a_shard_that_was_read_before_is_read_again_for_what_it_missed(source: Source) -> None:
    quarantine_of(source).quarantine(NAME, "cq_2", "a trial")
    source.fill("cq_2", "cq_things", 200, 1)
    assert quarantine_of(source).release(NAME, "cq_2") == ["cq_2.cq_things"]
    source.loaded(THINGS)
    assert ("cq_2", 200) in [(record.shard, record.key["id"]) for record in source.records("cdc.cq_things")]


def unlogged(source: Source, shard: str) -> None:
    """A shard whose table was created without the binlog: Debezium's error names it."""
    source.sql("mysql", f"CREATE DATABASE {shard}")
    source.sql(
        shard,
        "SET sql_log_bin = 0",
        DDL.format("cq_things"),
        "SET sql_log_bin = 1",
        "INSERT INTO cq_things VALUES (1, 'one')",
    )
    eventually(lambda: has_failed(source))


def test_the_supervisor_quarantines_one_shard_that_fails_repeatedly(source: Source) -> None:
    watch = ConnectorSupervisor(
        source.connect, QuarantinePolicy(source.endpoints, Catalog((THINGS,)), source.control, after=2)
    )
    unlogged(source, "cq_4")
    watch.poll()
    assert quarantine(source) == []
    eventually(lambda: watch.poll() and quarantine(source) == [("cq_4", True)], within=120)
    flows(source, 104)


def test_the_watch_leaves_a_second_one_to_a_person(source: Source) -> None:
    policy = QuarantinePolicy(source.endpoints, Catalog((THINGS,)), source.control, after=1)
    unlogged(source, "cq_5")
    ConnectorSupervisor(source.connect, policy).poll()
    assert quarantine(source) == [("cq_4", True)]
    quarantine_of(source).quarantine(NAME, "cq_5", "by hand")
    flows(source, 105)


def test_an_unknown_server_or_database_is_refused(source: Source) -> None:
    with pytest.raises(MisconfiguredError, match="no MySQL server 'elsewhere'"):
        quarantine_of(source).quarantine("elsewhere", "cq_1", "")
    with pytest.raises(MisconfiguredError, match="no contract reads database 'mysql'"):
        quarantine_of(source).quarantine(NAME, "mysql", "")
    with pytest.raises(MisconfiguredError, match="cq_1 is not quarantined"):
        quarantine_of(source).release(NAME, "cq_1")


def test_the_binlog_s_reach_is_measured_for_every_connector(source: Source) -> None:
    flows(source, 106)
    alarm = BinlogRetentionMonitor(
        source.endpoints, Catalog((THINGS,)), source.control, source.connect, min_hours=24
    )
    assert alarm.poll() == {NAME: 168.0}
    assert hours_left(source.server, StoredPosition("binlog.000000", 0)) == 0
