"""The actions of an ALTER TABLE statement, and what each may do to rows without change events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

STRING_OR_COMMENT = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|/\*(?!!).*?\*/|(?:\#|--\s)[^\n]*""", re.DOTALL
)
NAME = r"(?:`(?:[^`]|``)+`|[^\s`(),]+)"
ALTER = re.compile(rf"ALTER\s+(?:ONLINE\s+|IGNORE\s+)*TABLE\s+{NAME}(?:\s*\.\s*{NAME})?\s*", re.IGNORECASE)


class Effect(Enum):
    NONE = "none"
    COLUMNS = "columns"
    """What the columns before and after it tell."""
    COMPUTES = "computes"
    """A column's values are computed."""
    DELETES = "deletes"
    """Rows may be gone."""
    UNKNOWN = "unknown"
    """Rows may be others, or gone."""


PARTITIONS = r"PARTITIONS?\b"
EFFECTS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), effect)
    for pattern, effect in (
        (rf"(TRUNCATE|DROP)\s+{PARTITIONS}", Effect.DELETES),
        (rf"(ADD|REORGANIZE|COALESCE|REBUILD|OPTIMIZE|ANALYZE|CHECK|REPAIR)\s+{PARTITIONS}", Effect.NONE),
        (r"PARTITION\s+BY\b|REMOVE\s+PARTITIONING", Effect.NONE),
        (
            r"(ADD|DROP|RENAME|ALTER)\s+(UNIQUE|FULLTEXT|SPATIAL|INDEX|KEY|PRIMARY|CONSTRAINT|FOREIGN|CHECK)\b",
            Effect.NONE,
        ),
        (r"(ADD|MODIFY|CHANGE)\b.*\bAS\s*\(", Effect.COMPUTES),
        (r"(ADD|MODIFY|CHANGE|DROP|ALTER|RENAME)\b", Effect.COLUMNS),
        (r"CONVERT\s+TO\s+(CHARACTER\s+SET|CHARSET)\b", Effect.COLUMNS),
        (
            r"(ENGINE|AUTO_INCREMENT|COMMENT|ROW_FORMAT|(DEFAULT\s+)?(CHARACTER\s+SET|CHARSET|COLLATE)|STATS_\w+"
            r"|CHECKSUM|COMPRESSION|CONNECTION|DELAY_KEY_WRITE|ENCRYPTION|\w+_ENGINE_ATTRIBUTE|INSERT_METHOD"
            r"|ENGINE_ATTRIBUTE|KEY_BLOCK_SIZE|MAX_ROWS|MIN_ROWS|AVG_ROW_LENGTH|PACK_KEYS|TABLESPACE|ALGORITHM"
            r"|LOCK)\b",
            Effect.NONE,
        ),
        (r"(DISABLE|ENABLE)\s+KEYS\b|ORDER\s+BY\b|(WITH|WITHOUT)\s+VALIDATION\b", Effect.NONE),
    )
)


def effects(statement: str) -> frozenset[Effect]:
    """What the actions of the statement may do; empty if it is no ALTER TABLE, or does nothing."""
    text = " ".join(STRING_OR_COMMENT.sub(_emptied, _versioned(statement)).split())
    if (found := ALTER.match(text)) is None:
        return frozenset()
    actions = (action for action in _split(text[found.end() :]) if action)
    # a name alone is FORCE, or one more partition of the action before it
    return frozenset(_effect(action) for action in actions if not re.fullmatch(NAME, action))


def _emptied(found: re.Match[str]) -> str:
    """Without what a string or a comment holds."""
    return "''" if found[0][0] in "'\"" else " "


def _versioned(statement: str) -> str:
    """The statement with the text of comments such as ``/*!80000 ... */``, which MySQL executes."""
    return re.sub(r"/\*!\d*(.*?)\*/", r" \1 ", statement, flags=re.DOTALL)


def _effect(action: str) -> Effect:
    return next((effect for pattern, effect in EFFECTS if pattern.match(action)), Effect.UNKNOWN)


def _split(actions: str) -> Iterator[str]:
    """The actions, between the commas outside of parentheses."""
    depth = start = 0
    for position, character in enumerate(actions):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield actions[start:position].strip()
            start = position + 1
    yield actions[start:].strip(" ;")
