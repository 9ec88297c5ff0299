"""The actions of an ALTER TABLE statement, and what each may do to rows without change events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
    """A column has other values: computed ones, another column's, or none."""
    DELETES = "deletes"
    """Rows may be gone."""
    UNKNOWN = "unknown"
    """Rows may be others, or gone."""


PARTITIONS = r"PARTITIONS?\b"
ADDED_OR_DROPPED = re.compile(rf"(ADD|DROP)\s+(?:COLUMN\s+)?+({NAME}|\()", re.IGNORECASE)
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
        (r"RENAME\s+COLUMN\b", Effect.COMPUTES),
        (rf"CHANGE\s+(?:COLUMN\s+)?+(?P<old>{NAME})\s+(?!(?P=old)\s)", Effect.COMPUTES),
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
    actions = [action for action in _split(text[found.end() :]) if action]
    # a name alone is FORCE, or one more partition of the action before it
    each = frozenset(_effect(action) for action in actions if not re.fullmatch(NAME, action))
    return each | {Effect.COMPUTES} if _replaces_a_column(actions) else each


def _replaces_a_column(actions: Iterable[str]) -> bool:
    """Whether a column is dropped, and one of its name added."""
    names: dict[str, set[str]] = {"ADD": set(), "DROP": set()}
    for action in actions:
        concerns_a_column = _effect(action) in (Effect.COLUMNS, Effect.COMPUTES)
        if concerns_a_column and (found := ADDED_OR_DROPPED.match(action)):
            names[found[1].upper()].update(_unquoted(name) for name in _names(found))
    return not names["ADD"].isdisjoint(names["DROP"])


def _names(found: re.Match[str]) -> Iterator[str]:
    """The column's name; of ``ADD COLUMN (a INT, b INT)``, each."""
    if found[2] != "(":
        yield found[2]
        return
    for definition in _split(found.string[found.end() :].rstrip(") ")):
        yield definition.split()[0]


def _unquoted(name: str) -> str:
    return name.strip("`").replace("``", "`").lower()


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
