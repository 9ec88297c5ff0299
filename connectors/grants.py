"""What a user's grants, as MySQL shows them, allow a connector."""

from __future__ import annotations

import re
from collections.abc import Iterable

GLOBAL = ("RELOAD", "REPLICATION SLAVE", "REPLICATION CLIENT")
"""Granted on ``*.*`` or not at all."""
GRANT = re.compile(r"(GRANT|REVOKE) (.+?) ON (?:TABLE )?(\S.*?) (?:TO|FROM) ", re.IGNORECASE)
PLACE = re.compile(r"(\*|`(?:[^`]|``)*`)\.(\*|`(?:[^`]|``)*`)")


def missing(lines: Iterable[str], tables: Iterable[tuple[str, str]]) -> list[str]:
    """The privileges that a connector lacks, by the lines of ``SHOW GRANTS``; `tables` are the (database, table) that it reads."""
    everywhere: set[str] = set()
    readable: list[tuple[re.Pattern[str], str]] = []
    hidden: set[str] = set()
    for line in lines:
        found = GRANT.match(line)
        place = PLACE.fullmatch(found[3]) if found else None
        if found is None or place is None:
            continue
        names = {name.strip().upper() for name in re.sub(r"\([^)]*\)", "(columns)", found[2]).split(",")}
        database, table = (part if part == "*" else part[1:-1].replace("``", "`") for part in place.groups())
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

    places = list(tables)
    select = "SELECT" in everywhere if not places else all(may_read(*place) for place in places)
    return [*([] if select else ["SELECT"]), *(name for name in GLOBAL if name not in everywhere)]


def _pattern(database: str) -> re.Pattern[str]:
    r"""A database as a grant names it: ``%`` and ``_`` stand for any, unless behind a backslash."""
    parts = re.findall(r"\\.|.", database, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part, re.escape(part[-1])) for part in parts), re.DOTALL)
