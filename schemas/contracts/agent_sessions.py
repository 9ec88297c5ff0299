"""Each agent's time from log-in to log-out, and how much of it was spent in which state.

`state_ms` has each state by its name, of the tenant's own too; `break_ms` is what the other three named
columns leave.
"""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Append, ClickHouse, Computed, Month, Table, immutable, optional, required

agent_sessions = Table(
    name="agent_sessions",
    source=Computed("agent_sessions", "structured"),
    tenant="account_id",
    key=("account_id", "logged_in_at", "agent_id"),
    history=Append(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        immutable(2, "logged_in_at", t.DateTime(3), p.PUBLIC),
        immutable(3, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        optional(4, "logged_out_at", t.DateTime(3), p.PUBLIC),
        required(5, "newest_at", t.DateTime(3), p.PUBLIC),
        required(6, "available_ms", t.UInt(64), p.PUBLIC),
        required(7, "on_contact_ms", t.UInt(64), p.PUBLIC),
        required(8, "after_contact_work_ms", t.UInt(64), p.PUBLIC),
        required(9, "break_ms", t.UInt(64), p.PUBLIC),
        required(10, "state_changes", t.UInt(32), p.PUBLIC),
        required(11, "state_ms", t.Json(), p.PUBLIC),
    ),
    clickhouse=ClickHouse(
        order_by=("account_id", "logged_in_at", "agent_id"), partition_by=Month("logged_in_at"), keep_days=90
    ),
)
