"""Values that snapshots and the binlog return in different forms."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import Latest, Shards, Table, immutable, optional

CHARSETS = (
    "armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932",
    "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2",
    "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620",
    "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8mb3", "utf8mb4",
)  # fmt: skip

odd_values = Table(
    name="odd_values",
    source=Shards("values_*"),
    key=("id",),
    history=Latest(),
    columns=(
        immutable(1, "id", t.Int(64), p.PUBLIC),
        optional(2, "choice", t.Enum(), p.PUBLIC),
        optional(3, "document", t.Json(), p.PUBLIC),
        *(optional(10 + index, name, t.Text(), p.PUBLIC) for index, name in enumerate(CHARSETS)),
    ),
)
