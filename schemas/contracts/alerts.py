"""Every alert: when it was raised, by what, when it was cleared, and who minded it.

The streamer judges and writes them.
"""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Append, ClickHouse, Computed, Month, Table, immutable, optional, required

alerts = Table(
    name="alerts",
    source=Computed("streamer", "realtime"),
    tenant="account_id",
    key=("account_id", "alert_id"),
    history=Append(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        immutable(2, "alert_id", t.Text(), p.PUBLIC),
        immutable(3, "raised_at", t.DateTime(3), p.PUBLIC),
        required(4, "metric", t.Enum(), p.PUBLIC),
        required(5, "level", t.Enum(), p.PUBLIC),
        required(6, "queue_id", t.UInt(32), p.PUBLIC),
        required(7, "agent_id", t.UInt(32), p.PUBLIC),
        required(8, "value", t.Float(64), p.PUBLIC),
        required(9, "threshold", t.Float(64), p.PUBLIC),
        optional(10, "cleared_at", t.DateTime(3), p.PUBLIC),
        optional(11, "acknowledged_by", t.Text(), p.REDACT),
        optional(12, "acknowledged_at", t.DateTime(3), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("account_id", "alert_id"), partition_by=Month("raised_at"), keep_days=90),
)
