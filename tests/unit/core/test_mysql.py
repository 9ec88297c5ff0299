"""What a driver's error says of the server, and what of the statement."""

from __future__ import annotations

import pytest
from pymysql.err import InterfaceError, MySQLError, OperationalError, ProgrammingError
from sqlalchemy.exc import OperationalError as Wrapped

from core.clients import mysql
from core.control import ControlDatabase, open_control
from core.errors import MisconfiguredError, TransientError
from core.settings import Context, Settings
from tests.nowhere import ENDPOINTS, SERVER

GONE = OperationalError(2013, "Lost connection to MySQL server during query")


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (GONE, TransientError),
        (OperationalError(1053, "Server shutdown in progress"), TransientError),
        (InterfaceError(0, ""), TransientError),
        (OperationalError(1142, "SELECT command denied"), MisconfiguredError),
        (OperationalError(1054, "Unknown column"), None),
        (ProgrammingError(1064, "You have an error in your SQL syntax"), None),
        (ValueError("not MySQL's"), None),
    ],
)
def test_an_error_is_the_server_s_or_the_statement_s(error: Exception, named: type[Exception] | None) -> None:
    classified = mysql.classify(SERVER, error)
    assert type(classified) is (named or type(None))
    assert classified is None or "'main' at db:1" in classified.what


class Connection:
    """Breaks at the first statement."""

    def __init__(self, error: MySQLError) -> None:
        self._error = error

    def cursor(self) -> Connection:
        return self

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, *_: object) -> None:
        raise self._error

    def close(self) -> None:
        pass


def test_a_server_that_goes_away_in_the_middle_of_a_query_is_transient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mysql, "connect", lambda *_: Connection(GONE))
    with pytest.raises(TransientError, match="does not answer: Lost connection"):
        mysql.rows(SERVER, "SELECT 1")
    monkeypatch.setattr(mysql, "connect", lambda *_: Connection(OperationalError(1054, "Unknown column")))
    with pytest.raises(OperationalError):
        mysql.rows(SERVER, "SELECT x")


def test_the_control_database_is_on_the_first_server_unless_another_is_named() -> None:
    elsewhere = SERVER.model_copy(update={"name": "elsewhere", "host": "127.0.0.1"})
    assert ENDPOINTS.control_server == SERVER
    servers = ENDPOINTS.model_copy(update={"control": elsewhere})
    with pytest.raises(TransientError, match=r"'elsewhere' at 127\.0\.0\.1:1"):
        open_control(Context(Settings(), lambda: servers))


def test_a_control_database_that_goes_away_in_a_session_is_transient() -> None:
    control = ControlDatabase(SERVER, "control")
    with pytest.raises(TransientError), control.session():
        raise Wrapped("SELECT 1", None, GONE)
    with pytest.raises(Wrapped), control.session():
        raise Wrapped("SELECT x", None, OperationalError(1054, "Unknown column"))
