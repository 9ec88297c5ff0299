from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from connectors import hanging_transactions
from connectors.hanging_transactions import HangingTransactionMonitor, OpenTransactions
from core.errors import TransientError
from schemas.catalog import Catalog
from tests.nowhere import ENDPOINTS

PARTITION = ("cdc.calls", 0)
OTHER = ("cdc.calls", 1)


def observed(*offsets: tuple[float, int, int]) -> list[dict[tuple[str, int], float]]:
    """What is answered at each (seconds, end for readers of all, end for readers of committed records) of one
    partition."""
    transactions = OpenTransactions()
    return [transactions.observe({PARTITION: end}, {PARTITION: stable}, now) for now, end, stable in offsets]


def test_a_transaction_is_as_old_as_its_first_observation() -> None:
    assert observed((100, 8, 5), (130, 9, 5)) == [{PARTITION: 0}, {PARTITION: 30}]


def test_a_partition_read_to_its_end_has_no_open_transaction() -> None:
    assert observed((100, 5, 5), (130, 9, 9)) == [{}, {}]


def test_the_next_transaction_of_a_partition_is_another_one() -> None:
    assert observed((100, 8, 5), (130, 12, 9), (140, 12, 9)) == [
        {PARTITION: 0},
        {PARTITION: 0},
        {PARTITION: 10},
    ]


def test_a_transaction_that_ended_is_forgotten() -> None:
    assert observed((100, 8, 5), (130, 8, 8), (160, 9, 8)) == [{PARTITION: 0}, {}, {PARTITION: 0}]


def test_partitions_are_separate_and_one_without_an_end_is_left_out() -> None:
    transactions = OpenTransactions()
    transactions.observe({PARTITION: 8}, {PARTITION: 5, OTHER: 5}, 100)
    assert transactions.observe({PARTITION: 8, OTHER: 7}, {PARTITION: 5, OTHER: 5}, 110) == {
        PARTITION: 10,
        OTHER: 0,
    }


def test_an_unavailable_kafka_is_logged_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TransientError("Kafka does not answer")

    moments = iter(range(0, 125, 5))
    monkeypatch.setattr(hanging_transactions, "partitions_of", fail)
    monitor = HangingTransactionMonitor(ENDPOINTS, Catalog(()), limit=30, clock=lambda: next(moments))
    with capture_logs() as logs:
        for _ in range(25):
            assert monitor.poll() == []
    assert [line["event"] for line in logs] == ["open transactions are unknown"] * 3
