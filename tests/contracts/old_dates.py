"""Dates as old applications store them: zeros for an unknown one."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional, required

old_dates = Table(
    name="old_dates",
    source=Shards("dates_*"),
    key=("since", "id"),
    history=Latest(),
    columns=(
        immutable(1, "since", t.Date(), p.PUBLIC, zero="1900-01-01"),
        immutable(2, "id", t.Int(64), p.PUBLIC),
        optional(3, "day", t.Date(), p.PUBLIC),
        optional(4, "moment", t.DateTime(0), p.PUBLIC),
        optional(5, "moment3", t.DateTime(3), p.PUBLIC),
        optional(6, "moment6", t.DateTime(6), p.PUBLIC),
        optional(7, "stamp", t.Timestamp(0), p.PUBLIC),
        optional(8, "stamp6", t.Timestamp(6), p.PUBLIC),
        optional(9, "year_", t.Year(), p.PUBLIC),
        required(10, "kept", t.DateTime(6), p.PUBLIC, zero="1900-01-01T00:00:00"),
        optional(11, "kept_stamp", t.Timestamp(3), p.PUBLIC, zero="1970-01-01T00:00:00"),
        required(12, "kept_year", t.Year(), p.PUBLIC),
        required(13, "strict", t.Date(), p.PUBLIC),
    ),
)
