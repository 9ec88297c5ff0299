"""Sessions on the control database, its creation and its migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from pymysql.cursors import Cursor
from sqlalchemy import Connection, Engine, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session

from core.clients import mysql
from core.errors import TransientError
from core.settings import Context, MySqlServer

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""A revision has the first four characters of its file name."""
LOCK_SECONDS = 120
"""How long a command waits for a lock that another holds."""


def open_control(context: Context, *, migrate: bool = True) -> ControlDatabase:
    """Returns the control database that the settings name, migrated: see `ControlDatabase.migrate`.

    Without `migrate`, it does not block, and the server may be unavailable.
    """
    control = ControlDatabase(context.endpoints.control_server, context.settings.control_database)
    if migrate:
        control.migrate()
    return control


class ControlDatabase:
    """Sessions on the control database.

    Connections are opened when first used and checked before each use.
    """

    def __init__(self, server: MySqlServer, database: str) -> None:
        self._server = server
        self._database = database
        self.engine: Engine = create_engine(
            "mysql+pymysql://", creator=self._connect, pool_pre_ping=True, pool_recycle=600
        )

    def _connect(self) -> pymysql.Connection[Cursor]:
        # SQLAlchemy reads rowcount as matched rows: with changed rows it takes an unchanged row for a deleted
        # one.
        return mysql.connect(self._server, self._database, autocommit=False, found_rows=True)

    def migrate(self) -> None:
        """Creates the database if it does not exist and upgrades it to the newest revision. Blocks.
        Idempotent; may be interrupted, and called by several commands at once.

        MySQL commits each DDL statement by itself, so every revision can be repeated from any statement.
        """
        self._create()
        if self._revision() == NEWEST:
            return
        from alembic import command  # imported late: it takes a second, and is rarely needed
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.alone("migrate") as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _revision(self) -> str | None:
        """Returns the revision, None before the first migration."""
        with self._named(), self.engine.connect() as connection:
            try:
                found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            except ProgrammingError:
                return None
            return found

    @contextmanager
    def alone(self, what: str) -> Iterator[Connection]:
        """Holds the lock `what` for the block and yields its connection; a lost connection releases the lock.

        Blocks up to `LOCK_SECONDS` while another command holds it, then raises TransientError.
        """
        lock = f"{self._database}.{what}"[-64:]
        with self._named(), self.engine.connect() as connection:
            if connection.scalar(select(func.get_lock(lock, LOCK_SECONDS))) != 1:
                message = (
                    f"control database {self._database!r}: another command has held its lock {what!r} for "
                    f"{LOCK_SECONDS} s"
                )
                raise TransientError(message, "let it end, then try again")
            try:
                yield connection
                connection.commit()
            finally:
                if not connection.invalidated:  # else the lock is gone with it
                    connection.scalar(select(func.release_lock(lock)))

    def _create(self) -> None:
        if self._database in mysql.databases(self._server):
            return  # the statement would be in the binlog even then
        with mysql.cursor(self._server) as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{self._database}`")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Opens a transaction: committed at the end, rolled back on an error.

        Raises TransientError if the server is unavailable.
        """
        with self._named(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (classified := mysql.classify(self._server, error.orig)) is not None:
                raise classified from error
            raise

    def close(self) -> None:
        self.engine.dispose()
