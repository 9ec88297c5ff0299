"""Each change of an agent's state."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Append, ClickHouse, Month, Shards, Table, immutable, optional, required

agent_activity = Table(
    name="agent_activity",
    source=Shards("acc_*"),
    tenant="account_id",
    key=("activity_id",),
    history=Append(),
    columns=(
        immutable(1, "activity_id", t.UInt(64), p.PUBLIC),
        immutable(2, "account_id", t.UInt(32), p.PUBLIC),
        required(3, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        required(4, "state", t.Enum(), p.PUBLIC),
        optional(5, "reason", t.Text(), p.FREE_TEXT),
        immutable(6, "occurred_at", t.DateTime(6), p.PUBLIC),
    ),
    clickhouse=ClickHouse(
        order_by=("account_id", "occurred_at", "activity_id"), partition_by=Month("occurred_at"), keep_days=90
    ),
)
