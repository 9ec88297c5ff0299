"""What an interaction was made of: wait, talk, hold, wrap."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Latest, Shards, Table, immutable, optional, required

interaction_segments = Table(
    name="interaction_segments",
    source=Shards("acc_*"),
    tenant="account_id",
    key=("interaction_id", "segment_no"),
    history=Latest(),
    columns=(
        immutable(1, "interaction_id", t.UInt(64), p.PUBLIC),
        immutable(2, "segment_no", t.UInt(16), p.PUBLIC),
        immutable(3, "account_id", t.UInt(32), p.PUBLIC),
        required(4, "kind", t.Enum(), p.PUBLIC),
        optional(5, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        immutable(6, "started_at", t.DateTime(3), p.PUBLIC),
        required(7, "duration_ms", t.UInt(32), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("account_id", "interaction_id", "segment_no")),
)
