"""Calls, chats and mails, from first ring to close."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Month, Scd2, Shards, Table, immutable, optional, required

interactions = Table(
    name="interactions",
    source=Shards("acc_*"),
    tenant="account_id",
    key=("interaction_id",),
    history=Scd2(),
    columns=(
        immutable(1, "interaction_id", t.UInt(64), p.PUBLIC),
        immutable(2, "account_id", t.UInt(32), p.PUBLIC),
        required(3, "channel", t.Enum(), p.PUBLIC),
        required(4, "direction", t.Enum(), p.PUBLIC),
        required(5, "state", t.Enum(), p.PUBLIC),
        optional(6, "queue_id", t.UInt(32), p.PUBLIC),
        optional(7, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        optional(8, "customer_name", t.Text(), p.REDACT),
        optional(9, "customer_phone", t.Text(), p.Pseudonym("phone")),
        immutable(10, "started_at", t.DateTime(3), p.PUBLIC),
        optional(11, "answered_at", t.DateTime(3), p.PUBLIC),
        optional(12, "ended_at", t.DateTime(3), p.PUBLIC),
        required(13, "is_abandoned", t.Bool(), p.PUBLIC),
        required(14, "cost", t.Decimal(18, 4), p.PUBLIC),
        optional(15, "tags", t.Json(), p.PUBLIC),
        optional(16, "notes", t.Text(), p.FREE_TEXT),
        required(17, "updated_at", t.Timestamp(6), p.PUBLIC),
    ),
    clickhouse=ClickHouse(
        order_by=("account_id", "started_at", "interaction_id"),
        partition_by=Month("started_at"),
        keep_days=90,
    ),
)
