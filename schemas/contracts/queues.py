"""Where contacts wait for an agent."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Latest, Metadata, Table, immutable, required

queues = Table(
    name="queues",
    source=Metadata(),
    tenant="account_id",
    key=("queue_id",),
    history=Latest(),
    columns=(
        immutable(1, "queue_id", t.UInt(32), p.PUBLIC),
        immutable(2, "account_id", t.UInt(32), p.PUBLIC),
        required(3, "name", t.Text(), p.PUBLIC),
        required(4, "channel", t.Enum(), p.PUBLIC),
        required(5, "target_seconds", t.UInt(16), p.PUBLIC),
        required(6, "updated_at", t.Timestamp(6), p.PUBLIC),
        required(7, "short_abandon_seconds", t.UInt(16), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("account_id", "queue_id")),
)
