from __future__ import annotations

from verify.sources import BinlogPosition

END = BinlogPosition("a:1-10", 1, 10, 500)


def test_files_are_compared_only_within_one_server() -> None:
    assert END.precedes(
        BinlogPosition.from_debezium({"file": "binlog.000010", "pos": 500, "gtids": "a:1-9", "server_id": 1})
    )
    assert END.precedes(BinlogPosition.from_debezium({"file": "binlog.000011", "pos": 4, "server_id": 1}))
    assert not END.precedes(
        BinlogPosition.from_debezium({"file": "binlog.000010", "pos": 499, "server_id": 1})
    )
    assert not END.precedes(
        BinlogPosition.from_debezium({"file": "binlog.000009", "pos": 900, "server_id": 1})
    )
    assert not END.precedes(BinlogPosition.from_debezium({"file": "binlog.000011", "pos": 4, "server_id": 2}))


def test_an_offset_without_a_position_covers_nothing() -> None:
    assert not END.precedes(BinlogPosition.from_debezium({"ts_sec": 1, "server_id": 1}))
