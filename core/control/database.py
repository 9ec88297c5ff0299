"""Opens the control database, making and migrating it as needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.orm import Session

from core.clients import mysql
from core.settings import MySqlServer

MIGRATIONS = Path(__file__).parent / "migrations"


class ControlDatabase:
    """Sessions on the control database. Connections are made when first used and checked before each use."""

    def __init__(self, server: MySqlServer, database: str) -> None:
        self._server = server
        self._database = database
        self.engine: Engine = create_engine(self._url(database), pool_pre_ping=True, pool_recycle=600)

    def _url(self, database: str | None) -> URL:
        return URL.create(
            "mysql+pymysql",
            username=self._server.user,
            password=self._server.password.get_secret_value(),
            host=self._server.host,
            port=self._server.port,
            database=database,
            query={"charset": "utf8mb4"},
        )

    def migrate(self) -> None:
        """Makes the database if it is missing and brings it to the newest revision. Safe to repeat and to interrupt."""
        self._create()
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _create(self) -> None:
        if self._database in mysql.databases(self._server):
            return  # the statement would stand in the binlog even then, as one more transaction to read
        with mysql.cursor(self._server) as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{self._database}`")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back on an error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()
