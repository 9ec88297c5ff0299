"""Teams of agents."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Latest, Metadata, Table, immutable, required

teams = Table(
    name="teams",
    source=Metadata(),
    tenant="account_id",
    key=("team_id",),
    history=Latest(),
    columns=(
        immutable(1, "team_id", t.UInt(32), p.PUBLIC),
        immutable(2, "account_id", t.UInt(32), p.PUBLIC),
        required(3, "name", t.Text(), p.PUBLIC),
        required(4, "updated_at", t.Timestamp(6), p.PUBLIC),
    ),
    clickhouse=ClickHouse(order_by=("account_id", "team_id")),
)
