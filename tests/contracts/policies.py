"""A table for each policy towards columns that no contract describes."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional
from schemas.table import UnknownColumn as Policy


def _under(policy: Policy) -> Table:
    columns = (immutable(1, "id", t.Int(32), p.PUBLIC), optional(2, "m", t.Int(32), p.PUBLIC))
    return Table(f"under_{policy}", Shards("policy_*"), ("id",), Latest(), columns, unknown_column=policy)


under_evolve, under_freeze = _under("evolve"), _under("freeze")
under_discard_value, under_discard_row = _under("discard_value"), _under("discard_row")
