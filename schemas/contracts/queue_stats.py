"""Each queue as of now."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Computed, Latest, Table, immutable, optional, required

queue_stats = Table(
    name="queue_stats",
    source=Computed("queue_stats", "realtime"),
    tenant="account_id",
    key=("account_id", "queue_id"),
    history=Latest(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        immutable(2, "queue_id", t.UInt(32), p.PUBLIC),
        optional(3, "name", t.Text(), p.PUBLIC),
        optional(4, "channel", t.Text(), p.PUBLIC),
        optional(5, "target_seconds", t.UInt(16), p.PUBLIC),
        required(6, "waiting", t.UInt(32), p.PUBLIC),
        optional(7, "oldest_waiting_since", t.DateTime(3), p.PUBLIC),
        required(8, "in_service", t.UInt(32), p.PUBLIC),
        required(9, "agents_available", t.UInt(32), p.PUBLIC),
        required(10, "agents_busy", t.UInt(32), p.PUBLIC),
        required(11, "agents_offline", t.UInt(32), p.PUBLIC),
    ),
)
