"""Tables of every kind of key, with columns of every type, for random traffic."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional, required

VALUES: dict[str, tuple[str, t.Type]] = {
    "tiny": ("TINYINT", t.Int(8)),
    "flag": ("TINYINT(1)", t.Bool()),
    "medium": ("MEDIUMINT UNSIGNED", t.UInt(24)),
    "whole": ("INT", t.Int(64)),
    "big": ("BIGINT UNSIGNED", t.UInt(64)),
    "amount": ("DECIMAL(30,10)", t.Decimal(30, 10)),
    "ratio": ("DOUBLE", t.Float(64)),
    "single": ("FLOAT", t.Float(32)),
    "day": ("DATE", t.Date()),
    "moment": ("DATETIME", t.DateTime(0)),
    "moment6": ("DATETIME(6)", t.DateTime(6)),
    "stamp": ("TIMESTAMP(3) NULL", t.Timestamp(3)),
    "clock": ("TIME(6)", t.Time(6)),
    "vintage": ("YEAR", t.Year()),
    "choice": ("ENUM('x,y','it''s','a\\\\b')", t.Enum()),
    "choices": ("SET('a','b','c')", t.Set()),
    "document": ("JSON", t.Json()),
    "bits": ("BIT(33)", t.Bit(33)),
    "fixed": ("BINARY(4)", t.Binary(4)),
    "raw": ("VARBINARY(50)", t.Binary()),
    "letters": ("VARCHAR(50)", t.Text()),
    "old": ("VARCHAR(50) CHARACTER SET koi8u", t.Text()),
    "notes": ("MEDIUMTEXT", t.Text()),
}
"""Column -> its declaration in MySQL, and its type."""
KEYS: dict[str, tuple[str, t.Type, str | None]] = {
    "number": ("INT", t.Int(32), None),
    "unsigned": ("BIGINT UNSIGNED", t.UInt(64), None),
    "decimal": ("DECIMAL(20,4)", t.Decimal(20, 4), None),
    "text": ("VARCHAR(20)", t.Text(), None),
    "enum": ("ENUM('z','a','x,y')", t.Enum(), None),
    "date": ("DATE", t.Date(), "1900-01-01"),
    "time": ("TIME(3)", t.Time(3), None),
}
"""Kind of key -> the declaration of its column ``k`` in MySQL, its type, and what a zero date becomes."""


def table(kind: str) -> Table:
    """The key is (k, id), so that every kind has keys enough."""
    _, key, zero = KEYS[kind]
    values = (
        optional(number, name, value, p.PUBLIC)
        for number, (name, (_, value)) in enumerate(VALUES.items(), 10)
    )
    return Table(
        name=f"traffic_{kind}",
        source=Shards("traffic_*"),
        key=("k", "id"),
        history=Latest(),
        columns=(immutable(1, "k", key, p.PUBLIC, zero), immutable(2, "id", t.Int(32), p.PUBLIC), *values),
    )


TABLES = {kind: table(kind) for kind in KEYS}
globals().update(TABLES)
"""The loader finds contracts by the names of a module."""
unique_keys = Table(
    name="traffic_unique",
    source=Shards("traffic_*"),
    key=("a",),
    history=Latest(),
    columns=(
        required(1, "b", t.Int(32), p.PUBLIC),
        immutable(2, "a", t.Int(32), p.PUBLIC),
        optional(3, "v", t.Int(32), p.PUBLIC),
    ),
)
