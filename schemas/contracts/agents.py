"""People who take contacts."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Latest, Metadata, Table, immutable, optional, required

agents = Table(
    name="agents",
    source=Metadata(),
    tenant="account_id",
    key=("agent_id",),
    history=Latest(),
    columns=(
        immutable(1, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        immutable(2, "account_id", t.UInt(32), p.PUBLIC),
        required(3, "team_id", t.UInt(32), p.PUBLIC),
        required(4, "display_name", t.Text(), p.REDACT),
        optional(5, "email", t.Text(), p.REDACT),
        optional(6, "phone", t.Text(), p.Pseudonym("phone")),
        required(7, "is_active", t.Bool(), p.PUBLIC),
        optional(8, "skills", t.Set(), p.PUBLIC),
        optional(9, "hired_on", t.Date(), p.Generalise("month")),
        required(10, "updated_at", t.Timestamp(6), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("account_id", "agent_id")),
)
