"""The control database is made and migrated however often that is begun, broken off and begun again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, inspect, select

from core.clients import mysql
from core.control import ControlDatabase
from core.control.models import Base, Run
from core.control.table_health import conditions
from core.settings import Endpoints
from tests.conftest import Space
from tests.launching import ROOT

DDL = ("CREATE", "ALTER", "DROP", "RENAME", "INSERT IGNORE")


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
    control = ControlDatabase(stack.mysql[0], database)
    statements = 0
    while not migrate(control, statements):
        control.engine.dispose()  # the lock goes with a killed command's connection
        assert migrate(control, 1000)
        found = inspect(control.engine)
        assert set(found.get_table_names()) == {"alembic_version", *Base.metadata.tables}
        assert [index["name"] for index in found.get_indexes("job_plans")] == ["ix_job_plans_name"]
        assert found.get_pk_constraint("table_states")["constrained_columns"] == [
            "table_name",
            "shard",
            "state",
        ]
        control.close()
        drop(stack, database)
        statements += 1
    assert statements > len(Base.metadata.tables)
    control.close()


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
    control.migrate()
    with mysql.cursor(stack.mysql[0], database) as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '0005'")
        rows = [("calls", "acc_1", "FROZEN", "truncated"), ("calls", "acc_1", "BACKFILL", "a default")]
        cursor.executemany("INSERT INTO table_states VALUES (%s, %s, %s, %s, NOW(6))", rows)
    control.migrate()
    found = [(item.state, item.reason) for item in conditions(control)]
    assert found == [("NEEDS_SNAPSHOT", "a default"), ("NEEDS_VERIFICATION", "truncated")]
    control.close()


def test_a_row_that_two_commands_change_alike_is_changed_once_and_an_error_to_neither(
    stack: Endpoints, database: str
) -> None:
    """As `connectors watch` and `connectors status` do, which both note that a snapshot has ended."""
    control = ControlDatabase(stack.mysql[0], database)
    control.migrate()
    with control.session() as session:
        session.add(Run(kind="SNAPSHOT", subject="main/db.table", status="REQUESTED", detail={}))
    with control.session() as session:
        run = session.scalars(select(Run)).one()
        with control.session() as other:
            other.scalars(select(Run)).one().status = "COMPLETED"
        run.status = "COMPLETED"
    with control.session() as session:
        assert session.scalars(select(Run)).one().status == "COMPLETED"
    control.close()
