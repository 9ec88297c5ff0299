"""A failed task is reported by its innermost cause."""

from __future__ import annotations

from core.java_trace import root_cause

TRACE = """org.apache.kafka.connect.errors.ConnectException: An exception occurred.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: Client requested a position > file size
\tat io.debezium.connector.mysql.X.y(X.java:1)
\t... 5 more
Caused by: com.github.shyiko.mysql.binlog.network.ServerException: Could not find first log file name
\t... 3 more
"""


def test_the_innermost_cause_is_reported_with_the_short_name_of_its_class() -> None:
    assert root_cause(TRACE) == "ServerException: Could not find first log file name"


def test_a_trace_without_causes_is_its_first_line() -> None:
    assert (
        root_cause("java.lang.IllegalStateException: no\n\tat a.b(C.java:1)") == "IllegalStateException: no"
    )


def test_an_empty_trace_is_reported_as_such() -> None:
    assert root_cause("") == "no cause given"
