"""A table for each policy towards columns that no contract describes; `evolve` is every other table's."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional
from schemas.table import UnknownColumn as Policy


def _under(policy: Policy) -> Table:
    columns = (immutable(1, "id", t.Int(32), p.PUBLIC), optional(2, "m", t.Int(32), p.PUBLIC))
    return Table(f"under_{policy}", Shards("policy_*"), ("id",), Latest(), columns, unknown_column=policy)


under_freeze, under_discard_value, under_discard_row = _under("freeze"), _under("discard_value"), _under("discard_row")
