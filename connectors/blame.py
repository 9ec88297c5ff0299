"""Whose fault a failure is, where its causes name one table of one shard; nobody's where they do not."""

from __future__ import annotations

import re
from collections.abc import Iterable

CAUSE = "Caused by: "


def blamed(trace: str, collections: Iterable[str]) -> str | None:
    """The one database of which the causes name a ``database.table``. Not every cause does: some name the table alone."""
    causes = "\n".join(line for line in trace.splitlines() if line.startswith(CAUSE)) or trace.partition("\n")[0]
    named = {name.partition(".")[0] for name in collections if _names(causes, name)}
    return named.pop() if len(named) == 1 else None


def _names(text: str, collection: str) -> bool:
    return re.search(rf"(?<![\w.$-]){re.escape(collection)}(?![\w$-]|\.\w)", text) is not None
