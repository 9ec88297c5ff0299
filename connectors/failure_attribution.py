"""Attributes a connector's failure to a shard, if the trace names tables of exactly one."""

from __future__ import annotations

import re
from collections.abc import Iterable

CAUSE = "Caused by: "


def attribute_failure(trace: str, collections: Iterable[str]) -> str | None:
    """The database if the causes in `trace` name a ``database.table`` of exactly one of `collections`'
    databases, else None.

    Not every cause does: some name only the table.
    """
    causes = (
        "\n".join(line for line in trace.splitlines() if line.startswith(CAUSE)) or trace.partition("\n")[0]
    )
    named = {name.partition(".")[0] for name in collections if _names(causes, name)}
    return named.pop() if len(named) == 1 else None


def _names(text: str, collection: str) -> bool:
    return re.search(rf"(?<![\w.$-]){re.escape(collection)}(?![\w$-]|\.\w)", text) is not None
