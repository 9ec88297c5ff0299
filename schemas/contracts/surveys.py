"""What customers said afterwards."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Latest, Shards, Table, immutable, optional, required

surveys = Table(
    name="surveys",
    source=Shards("acc_*"),
    tenant="account_id",
    key=("survey_id",),
    history=Latest(),
    columns=(
        immutable(1, "survey_id", t.UInt(64), p.PUBLIC),
        immutable(2, "interaction_id", t.UInt(64), p.PUBLIC),
        immutable(3, "account_id", t.UInt(32), p.PUBLIC),
        required(4, "score", t.Int(8), p.PUBLIC),
        optional(5, "sentiment", t.Float(64), p.PUBLIC),
        optional(6, "comment", t.Text(), p.FREE_TEXT),
        required(7, "answered_at", t.DateTime(), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("account_id", "survey_id")),
)
