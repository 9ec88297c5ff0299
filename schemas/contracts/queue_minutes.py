"""What came of a queue's contacts, minute by minute: whatever window a reader wants is a sum of these."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Append, ClickHouse, Computed, Month, Table, immutable, required

queue_minutes = Table(
    name="queue_minutes",
    source=Computed("queue_minutes", "realtime"),
    tenant="account_id",
    key=("account_id", "queue_id", "minute"),
    history=Append(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        immutable(2, "queue_id", t.UInt(32), p.PUBLIC),
        immutable(3, "minute", t.DateTime(3), p.PUBLIC),
        required(4, "offered", t.UInt(32), p.PUBLIC),
        required(5, "answered", t.UInt(32), p.PUBLIC),
        required(6, "abandoned", t.UInt(32), p.PUBLIC),
        required(7, "short_abandons", t.UInt(32), p.PUBLIC),
        required(8, "answer_delay_ms", t.UInt(64), p.PUBLIC),
        required(9, "within_target", t.UInt(32), p.PUBLIC),
        required(10, "handled", t.UInt(32), p.PUBLIC),
        required(11, "handle_ms", t.UInt(64), p.PUBLIC),
    ),
    clickhouse=ClickHouse(
        order_by=("account_id", "queue_id", "minute"), partition_by=Month("minute"), keep_days=90
    ),
)
