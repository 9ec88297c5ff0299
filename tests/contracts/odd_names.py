"""A composite key, and names with spaces, quotes, reserved words, and those of an envelope's own parts."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional

odd = Table(
    name="order items",
    source=Shards("odd_*"),
    key=("select", "line no"),
    history=Latest(),
    columns=(
        immutable(1, "select", t.Text(), p.PUBLIC),
        immutable(2, "line no", t.UInt(16), p.PUBLIC),
        optional(3, "it's `quoted`", t.Text(), p.PUBLIC),
        optional(4, "2nd", t.Int(32), p.PUBLIC),
        *(
            optional(5 + number, name, t.Int(32), p.PUBLIC)
            for number, name in enumerate(
                ("source", "op", "image", "gone", "before", "after", "_mine", "key", "offset")
            )
        ),
    ),
)

two_unique_keys = Table(
    name="two_unique_keys",
    source=Shards("odd_*"),
    key=("a",),
    history=Latest(),
    columns=(
        optional(1, "b", t.Int(32), p.PUBLIC),
        immutable(2, "a", t.Int(32), p.PUBLIC),
        optional(3, "v", t.Int(32), p.PUBLIC),
    ),
)
