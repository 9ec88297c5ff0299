"""Opens the control database, making and migrating it as needed."""

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
from core.settings import MySqlServer

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""A revision is called as its file begins."""
LOCK_SECONDS = 120
"""For so long one command waits for another that does the same."""


class ControlDatabase:
    """Sessions on the control database. Connections are made when first used and checked before each use."""

    def __init__(self, server: MySqlServer, database: str) -> None:
        self._server = server
        self._database = database
        self.engine: Engine = create_engine("mysql+pymysql://", creator=self._connect, pool_pre_ping=True, pool_recycle=600)

    def _connect(self) -> pymysql.Connection[Cursor]:
        # SQLAlchemy takes a row that was found but not changed for one that is gone, unless all that are found are counted.
        return mysql.connect(self._server, self._database, autocommit=False, found_rows=True)

    def migrate(self) -> None:
        """Makes the database if it is missing and brings it to the newest revision. Safe to repeat, to interrupt, and
        to call by several commands at once.

        MySQL commits each DDL by itself, so every revision is written to be repeated from any place in its middle.
        """
        self._create()
        if self._revision() == NEWEST:
            return
        from alembic import command  # takes a second to load, and is seldom needed
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.alone("migrate") as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _revision(self) -> str | None:
        """None where nothing was made yet."""
        with self._named(), self.engine.connect() as connection:
            try:
                found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            except ProgrammingError:
                return None
            return found

    @contextmanager
    def alone(self, what: str) -> Iterator[Connection]:
        """A connection whose command is the only one to do `what`; should it break, the server lets the next one in.

        Waits for another command's, `LOCK_SECONDS` at most, then raises TransientError.
        """
        lock = f"{self._database}.{what}"[-64:]
        with self._named(), self.engine.connect() as connection:
            if connection.scalar(select(func.get_lock(lock, LOCK_SECONDS))) != 1:
                told = f"control database {self._database!r}: another command has held its lock {what!r} for {LOCK_SECONDS} s"
                raise TransientError(told, "let it end, then try again")
            try:
                yield connection
                connection.commit()
            finally:
                if not connection.invalidated:  # else the lock went with it
                    connection.scalar(select(func.release_lock(lock)))

    def _create(self) -> None:
        if self._database in mysql.databases(self._server):
            return  # the statement would stand in the binlog even then, as one more transaction to read
        with mysql.cursor(self._server) as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{self._database}`")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back on an error. Raises TransientError where the server is away."""
        with self._named(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (said := mysql.named(self._server, error.orig)) is not None:
                raise said from error
            raise

    def close(self) -> None:
        self.engine.dispose()
