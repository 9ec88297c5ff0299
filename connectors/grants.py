"""Checks a user's grants against the privileges that a connector needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

GLOBAL = ("RELOAD", "REPLICATION SLAVE", "REPLICATION CLIENT")
"""Privileges that can only be granted on ``*.*``."""
GRANT = re.compile(r"(GRANT|REVOKE) (.+?) ON (?:TABLE )?(\S.*?) (?:TO|FROM) ", re.IGNORECASE)
TARGET = re.compile(r"(\*|`(?:[^`]|``)*`)\.(\*|`(?:[^`]|``)*`)")


def missing(lines: Iterable[str], tables: Iterable[tuple[str, str]]) -> list[str]:
    """The privileges that a connector lacks, from the lines of ``SHOW GRANTS``.

    `tables` are the (database, table) that it reads.
    """
    everywhere: set[str] = set()
    readable: list[tuple[re.Pattern[str], str]] = []
    hidden: set[str] = set()
    for line in lines:
        found = GRANT.match(line)
        target = TARGET.fullmatch(found[3]) if found else None
        if found is None or target is None:
            continue
        names = {name.strip().upper() for name in re.sub(r"\([^)]*\)", "(columns)", found[2]).split(",")}
        database, table = (part if part == "*" else part[1:-1].replace("``", "`") for part in target.groups())
        if found[1].upper() == "REVOKE":
            hidden |= {database} if names & {"SELECT", "ALL PRIVILEGES"} else set()
        elif database == "*":
            everywhere |= names
        elif names & {"SELECT", "ALL PRIVILEGES"}:
            readable.append((_pattern(database) if table == "*" else re.compile(re.escape(database)), table))
    if "ALL PRIVILEGES" in everywhere:
        everywhere |= {"SELECT", *GLOBAL}

    def may_read(database: str, table: str) -> bool:
        if any(pattern.fullmatch(database) and granted in ("*", table) for pattern, granted in readable):
            return True
        return "SELECT" in everywhere and database not in hidden

    targets = list(tables)
    select = "SELECT" in everywhere if not targets else all(may_read(*target) for target in targets)
    return [*([] if select else ["SELECT"]), *(name for name in GLOBAL if name not in everywhere)]


def _pattern(database: str) -> re.Pattern[str]:
    r"""A grant's database pattern: ``%`` and ``_`` are wildcards, unless escaped by a backslash."""
    parts = re.findall(r"\\.|.", database, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part, re.escape(part[-1])) for part in parts), re.DOTALL)
