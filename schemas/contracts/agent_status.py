"""Each agent as of now: the live view's row."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Computed, Latest, Table, immutable, optional, required

agent_status = Table(
    name="agent_status",
    source=Computed("agent_status", "realtime"),
    tenant="account_id",
    key=("account_id", "agent_id"),
    history=Latest(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        immutable(2, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        optional(3, "team_id", t.UInt(32), p.PUBLIC),
        optional(4, "team", t.Text(), p.PUBLIC),
        optional(5, "name", t.Text(), p.REDACT),
        required(6, "state", t.Text(), p.PUBLIC),
        optional(7, "reason", t.Text(), p.FREE_TEXT),
        optional(8, "since", t.DateTime(3), p.PUBLIC),
        required(9, "contacts", t.Json(), p.PUBLIC),
        required(10, "queues", t.Json(), p.PUBLIC),
    ),
)
