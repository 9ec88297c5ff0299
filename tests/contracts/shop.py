"""A shop's tickets, and what a job of its own (`tests/jobs`) computes from them: no table of the sample."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Computed, Latest, Shards, Table, immutable, optional, required

tickets = Table(
    name="tickets",
    source=Shards("shop_*"),
    tenant="customer_id",
    key=("ticket_id",),
    history=Latest(),
    columns=(
        immutable(1, "ticket_id", t.UInt(64), p.PUBLIC),
        required(2, "customer_id", t.UInt(32), p.PUBLIC),
        required(3, "state", t.Text(), p.PUBLIC),
        optional(4, "subject", t.Text(), p.FREE_TEXT),
    ),
)

open_tickets = Table(
    name="open_tickets",
    source=Computed("open_tickets", "realtime"),
    tenant="customer_id",
    key=("customer_id",),
    history=Latest(),
    columns=(
        immutable(1, "customer_id", t.UInt(32), p.PUBLIC),
        required(2, "tickets", t.UInt(32), p.PUBLIC),
        required(3, "open_ones", t.UInt(32), p.PUBLIC),
    ),
)
