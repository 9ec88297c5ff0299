"""One column of each MySQL type that a user meets, NULL allowed in one table and not in the other."""

from dataclasses import replace

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional, required

every_type = Table(
    name="every_type",
    source=Shards("types_*"),
    key=("id",),
    history=Latest(),
    columns=(
        immutable(1, "id", t.Int(64), p.PUBLIC),
        optional(2, "tiny", t.Int(8), p.PUBLIC),
        optional(3, "tiny_u", t.UInt(8), p.PUBLIC),
        optional(4, "small", t.Int(16), p.PUBLIC),
        optional(5, "small_u", t.UInt(16), p.PUBLIC),
        optional(6, "medium", t.Int(24), p.PUBLIC),
        optional(7, "medium_u", t.UInt(24), p.PUBLIC),
        optional(8, "plain", t.Int(32), p.PUBLIC),
        optional(9, "plain_u", t.UInt(32), p.PUBLIC),
        optional(10, "big", t.Int(64), p.PUBLIC),
        optional(11, "big_u", t.UInt(64), p.PUBLIC),
        optional(12, "dec_small", t.Decimal(5, 2), p.PUBLIC),
        optional(13, "dec_big", t.Decimal(65, 30), p.PUBLIC),
        optional(14, "single", t.Float(32), p.PUBLIC),
        optional(15, "double_", t.Float(64), p.PUBLIC),
        optional(16, "flag", t.Bool(), p.PUBLIC),
        optional(17, "day", t.Date(), p.PUBLIC),
        optional(18, "clock", t.Time(0), p.PUBLIC),
        optional(19, "clock6", t.Time(6), p.PUBLIC),
        optional(20, "year_", t.Year(), p.PUBLIC),
        optional(21, "moment", t.DateTime(0), p.PUBLIC),
        optional(22, "moment3", t.DateTime(3), p.PUBLIC),
        optional(23, "moment6", t.DateTime(6), p.PUBLIC),
        optional(24, "stamp", t.Timestamp(0), p.PUBLIC),
        optional(25, "stamp6", t.Timestamp(6), p.PUBLIC),
        optional(26, "choice", t.Enum(), p.PUBLIC),
        optional(27, "choices", t.Set(), p.PUBLIC),
        optional(28, "document", t.Json(), p.PUBLIC),
        optional(29, "bit1", t.Bit(1), p.PUBLIC),
        optional(30, "bits", t.Bit(64), p.PUBLIC),
        optional(31, "fixed", t.Binary(8), p.PUBLIC),
        optional(32, "raw", t.Binary(), p.PUBLIC),
        optional(33, "letters", t.Text(), p.PUBLIC),
        optional(34, "long_text", t.Text(), p.PUBLIC),
        required(35, "defaulted", t.Int(32), p.PUBLIC),
        optional(36, "defaulted_null", t.Int(32), p.PUBLIC),
    ),
)

every_type_required = replace(
    every_type,
    name="every_type_required",
    columns=tuple(replace(column, nullable=False) for column in every_type.columns),
)
