"""Which shard a failure is blamed on, and when it is nobody's. The causes are Debezium 3.6's own words."""

from __future__ import annotations

import pytest

from connectors.failure_attribution import attribute_failure

COLLECTIONS = ("acc_1.calls", "acc_1.agents", "acc_2.calls", "acc_20.calls")


def trace(cause: str) -> str:
    return (
        "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event "
        "producer.\n"
        "\tat acc_2.calls.Frame(Frame.java:1)\n"
        "Caused by: io.debezium.DebeziumException: Error processing binlog event\nCaused by: "
        f"io.debezium.DebeziumException: {cause}\n"
    )


def test_a_cause_that_names_a_table_of_one_shard() -> None:
    cause = "Encountered change event for table acc_20.calls whose schema isn't known to this connector"
    assert attribute_failure(trace(cause), COLLECTIONS) == "acc_20"


def test_two_tables_of_one_shard_are_still_one_shard() -> None:
    assert attribute_failure(trace("acc_1.calls and acc_1.agents"), COLLECTIONS) == "acc_1"


@pytest.mark.parametrize(
    "cause",
    [
        pytest.param(
            "Error processing row in calls, internal schema size 2, but row size 3", id="a table alone"
        ),
        pytest.param("Cannot create field because of field name duplication a_b", id="a column alone"),
        pytest.param("acc_1.calls, acc_2.calls", id="tables of two shards"),
        pytest.param("xacc_1.calls, acc_1.calls_old, main.acc_1.calls", id="names that are only similar"),
        pytest.param("Could not find first log file name in binary log index file", id="the server"),
    ],
)
def test_a_cause_that_is_nobody_s(cause: str) -> None:
    assert attribute_failure(trace(cause), COLLECTIONS) is None


def test_an_empty_trace_is_nobody_s() -> None:
    assert attribute_failure("", COLLECTIONS) is None
