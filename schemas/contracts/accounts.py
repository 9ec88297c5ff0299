"""Customers of the contact centre: the tenants."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Metadata, Table, immutable, required

accounts = Table(
    name="accounts",
    source=Metadata(),
    tenant="account_id",
    key=("account_id",),
    history=Latest(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        required(2, "name", t.Text(), p.REDACT),
        required(3, "time_zone", t.Text(), p.PUBLIC),
        required(4, "tier", t.Enum(), p.PUBLIC),
        required(5, "created_at", t.DateTime(), p.PUBLIC),
        required(6, "updated_at", t.Timestamp(6), p.PUBLIC),
    ),
)
