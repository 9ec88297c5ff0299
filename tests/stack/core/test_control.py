"""The control database is made and migrated however often that is begun, broken off and begun again."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Inspector, event, inspect, select

from connectors.capture import saved_capture
from core.clients import mysql
from core.control import ControlDatabase
from core.control.database import MIGRATIONS
from core.control.models import (
    AcceptedGap,
    ApplyRun,
    BackfillStep,
    Base,
    SchemaChangeCursor,
    Snapshot,
    VerifyResult,
)
from core.control.quarantine_store import list_quarantined
from core.control.table_health import conditions
from core.settings import Endpoints
from tests.conftest import Space
from tests.launching import ROOT

DDL = ("CREATE", "ALTER", "DROP", "RENAME", "INSERT")


CHUNK = {
    "kind": "PAUSED",
    "rows": None,
    "status": "",
    "last_key": "[5]",
    "maximum_key": "[9]",
    "paused": True,
}


class KilledError(BaseException):
    """As good as a kill: nothing that the command would have done next is done."""


@pytest.fixture
def database(stack: Endpoints, space: Space) -> Iterator[str]:
    name = space.name("control")
    yield name
    drop(stack, name)


def drop(stack: Endpoints, name: str) -> None:
    with mysql.cursor(stack.mysql[0]) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def migrate(control: ControlDatabase, statements: int) -> bool:
    """Whether it was done with after so many statements of DDL, else it is broken off there."""
    left = statements

    def count(connection: Any, cursor: Any, statement: str, *_: object) -> None:
        nonlocal left
        if statement.lstrip().upper().startswith(DDL):
            left -= 1
            if left < 0:
                raise KilledError

    event.listen(control.engine, "before_cursor_execute", count)
    try:
        control.migrate()
    except KilledError:
        return False
    finally:
        event.remove(control.engine, "before_cursor_execute", count)
    return True


def test_a_migration_is_repeated_from_wherever_it_was_broken_off(stack: Endpoints, database: str) -> None:
    """Each attempt repeats what the one before it did of a revision, and ends one statement later."""
    control = ControlDatabase(stack.mysql[0], database)
    statements = broken_off = 0
    revision = None
    while not migrate(control, statements):
        control.engine.dispose()  # the lock goes with a killed command's connection
        broken_off += 1
        before, revision = revision, control._revision()
        statements = statements + 1 if revision == before else 0
    assert broken_off > len(Base.metadata.tables)
    found = inspect(control.engine)
    assert set(found.get_table_names()) == {"alembic_version", *Base.metadata.tables}
    assert found.get_pk_constraint("table_states")["constrained_columns"] == ["table_name", "shard", "state"]
    for table in Base.metadata.sorted_tables:
        assert indexes(found, table.name) >= {str(index.name) for index in table.indexes}
    control.close()


def indexes(found: Inspector, table: str) -> set[str | None]:
    return {index["name"] for index in found.get_indexes(table)}


def test_commands_that_begin_at_once_migrate_once(stack: Endpoints, database: str) -> None:
    code = (
        "import sys; from core.control import ControlDatabase; from core.settings import MySqlServer; "
        "ControlDatabase(MySqlServer.model_validate_json(sys.argv[1]), sys.argv[2]).migrate()"
    )
    server = stack.mysql[0]
    server_json = server.model_dump_json().replace('"**********"', f'"{server.password.get_secret_value()}"')
    command = [sys.executable, "-c", code, server_json, database]
    begun = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    output = [process.communicate(timeout=120)[1] for process in begun]
    assert [process.returncode for process in begun] == [0, 0, 0], output


def test_conditions_are_kept_under_their_new_names(stack: Endpoints, database: str) -> None:
    control = ControlDatabase(stack.mysql[0], database)
    to_revision(control, "0005")
    with mysql.cursor(stack.mysql[0], database) as cursor:
        rows = [("calls", "acc_1", "FROZEN", "truncated"), ("calls", "acc_1", "BACKFILL", "a default")]
        cursor.executemany("INSERT INTO table_states VALUES (%s, %s, %s, %s, NOW(6))", rows)
    control.migrate()
    found = [(item.state, item.reason) for item in conditions(control)]
    assert found == [("NEEDS_SNAPSHOT", "a default"), ("NEEDS_VERIFICATION", "truncated")]
    control.close()


RECORDS = (
    ("snapshot", "main/acc_1.calls", "COMPLETED", {"signal": "s", "after": 7, "where": None, "told": CHUNK}),
    ("snapshot", "main/acc_2.calls", "REQUESTED", {"signal": "s", "after": 9, "where": "id < 3"}),
    ("quarantine", "main/acc_3", "ACTIVE", {"reason": "it fails", "alone": True}),
    ("ddl", "main", "COMPLETED", {"offset": 4}),
    ("ddl", "main", "COMPLETED", {"offset": 11}),
    ("capture", "main", "COMPLETED", {"table.include.list": "old"}),
    ("capture", "main", "COMPLETED", {"table.include.list": "new"}),
    ("gap", "cdc.calls", "COMPLETED", {"generation": 2, "offsets": {"0": 5}}),
    ("verify", "calls/acc_1", "EQUAL", {"rows": 8, "rows_clickhouse": 8, "reason": ""}),
    ("apply", "contracts", "FAILED", {"allowed": ["a:b"], "steps": ["c d"], "error": "no"}),
    ("backfill plan", "a_job", "COMPLETED", {"generation": 2, "start_time": "2026-11-01T00:00:00"}),
    ("backfill diff", "a_job", "COMPLETED", {"generation": 2, "days": 3, "different": ["2026-11-02"]}),
)
"""Of `runs` at revision 0006: kind, subject, status, detail."""


def test_records_of_runs_are_moved_into_typed_tables(stack: Endpoints, database: str) -> None:
    control = ControlDatabase(stack.mysql[0], database)
    to_revision(control, "0006")
    with mysql.cursor(stack.mysql[0], database) as cursor:
        statement = (
            "INSERT INTO runs (kind, subject, status, detail, started_at) VALUES (%s, %s, %s, %s, NOW(6))"
        )
        cursor.executemany(statement, [(*record[:3], json.dumps(record[3])) for record in RECORDS])
    control.migrate()
    with control.session() as session:
        done, asked = session.scalars(select(Snapshot).order_by(Snapshot.id)).all()
        (gap,) = session.scalars(select(AcceptedGap)).all()
        (verified,) = session.scalars(select(VerifyResult)).all()
        (applied,) = session.scalars(select(ApplyRun)).all()
        planned, compared = session.scalars(select(BackfillStep).order_by(BackfillStep.id)).all()
    assert fields(done, "server collection status row_filter") == ["main", "acc_1.calls", "COMPLETED", None]
    assert fields(done, "after_offset last_event rows last_key paused") == [7, "PAUSED", None, "[5]", True]
    assert fields(asked, "status row_filter last_event paused") == ["REQUESTED", "id < 3", None, False]
    (shard,) = list_quarantined(control)
    assert fields(shard, "server database reason automatic") == ["main", "acc_3", "it fails", True]
    assert saved_capture(control, "main") == {"table.include.list": "new"}
    assert fields(gap, "topic generation offsets") == ["cdc.calls", 2, {"0": 5}]
    assert fields(verified, "table_name shard answer rows_source") == ["calls", "acc_1", "equal", 8]
    assert fields(applied, "status error allowed steps") == ["FAILED", "no", ["a:b"], ["c d"]]
    assert fields(planned, "job verb start_time") == ["a_job", "plan", dt.datetime(2026, 11, 1)]
    assert fields(compared, "verb days different_days") == ["diff", 3, ["2026-11-02"]]
    with control.session() as session:
        assert session.get_one(SchemaChangeCursor, "main").offset == 11
    control.close()


def fields(row: object, names: str) -> list[Any]:
    return [getattr(row, name) for name in names.split()]


def to_revision(control: ControlDatabase, revision: str) -> None:
    control._create()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with control.alone("migrate") as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_a_row_that_two_commands_change_alike_is_changed_once_and_an_error_to_neither(
    stack: Endpoints, database: str
) -> None:
    """As `connectors watch` and `connectors status` do, which both note that a snapshot has ended."""
    control = ControlDatabase(stack.mysql[0], database)
    control.migrate()
    with control.session() as session:
        session.add(Snapshot(server="main", collection="db.table", status="REQUESTED", after_offset=0))
    with control.session() as session:
        snapshot = session.scalars(select(Snapshot)).one()
        with control.session() as other:
            other.scalars(select(Snapshot)).one().status = "COMPLETED"
        snapshot.status = "COMPLETED"
    with control.session() as session:
        assert session.scalars(select(Snapshot)).one().status == "COMPLETED"
    control.close()
