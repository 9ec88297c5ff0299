"""Which agents serve which queues."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Metadata, Table, immutable

queue_members = Table(
    name="queue_members",
    source=Metadata(),
    tenant="account_id",
    key=("queue_id", "agent_id"),
    history=Latest(),
    columns=(
        immutable(1, "queue_id", t.UInt(32), p.PUBLIC),
        immutable(2, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        immutable(3, "account_id", t.UInt(32), p.PUBLIC),
    ),
)
