"""Privacy classes: what may leave the base tables of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Public:
    """Does not identify or describe a person."""


@dataclass(frozen=True)
class Pseudonym:
    """Replaced by a keyed hash; equal values of one `domain` and tenant stay equal, so that joins still
    work."""

    domain: str


@dataclass(frozen=True)
class Generalise:
    """Coarsened by a rule: a date to its month, a post code to its region, an age to a band."""

    rule: Literal["month", "year", "zip3", "age_band"]


@dataclass(frozen=True)
class Redact:
    """Never leaves base."""


@dataclass(frozen=True)
class FreeText:
    """May contain personal data; leaves base only after recognised entities are removed."""


@dataclass(frozen=True)
class Unclassified:
    """Not classified yet: never leaves base."""


Privacy = Public | Pseudonym | Generalise | Redact | FreeText | Unclassified

PUBLIC = Public()
REDACT = Redact()
FREE_TEXT = FreeText()
UNCLASSIFIED = Unclassified()
