"""The closed set of column types: those of MySQL, independent of any target.

Every renderer maps all of them with ``match`` and ``assert_never``, so a type added here fails the type
checker until every renderer maps it.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ContractError


@dataclass(frozen=True)
class Int:
    """Signed integer of 8, 16, 24, 32 or 64 bits (TINYINT, SMALLINT, MEDIUMINT, INT, BIGINT)."""

    bits: int = 32

    def __post_init__(self) -> None:
        _one_of("Int", self.bits, (8, 16, 24, 32, 64))


@dataclass(frozen=True)
class UInt:
    """Unsigned integer of 8, 16, 24, 32 or 64 bits."""

    bits: int = 32

    def __post_init__(self) -> None:
        _one_of("UInt", self.bits, (8, 16, 24, 32, 64))


@dataclass(frozen=True)
class Decimal:
    precision: int
    scale: int

    def __post_init__(self) -> None:
        if not (1 <= self.precision <= 65 and 0 <= self.scale <= min(30, self.precision)):
            raise ContractError(
                f"Decimal({self.precision}, {self.scale}) is not a MySQL DECIMAL", "use 1-65 and 0-30"
            )


@dataclass(frozen=True)
class Float:
    """IEEE 754, 32 bits (FLOAT) or 64 bits (DOUBLE)."""

    bits: int = 64

    def __post_init__(self) -> None:
        _one_of("Float", self.bits, (32, 64))


@dataclass(frozen=True)
class Bool:
    """TINYINT(1), which MySQL calls BOOLEAN; holds any value of a TINYINT."""


@dataclass(frozen=True)
class Date:
    pass


@dataclass(frozen=True)
class Time:
    """A signed duration of up to 838 hours, stored as microseconds."""

    fraction: int = 0


@dataclass(frozen=True)
class Year:
    pass


@dataclass(frozen=True)
class DateTime:
    """A wall clock without a zone; `fraction` digits of a second (0-6)."""

    fraction: int = 0


@dataclass(frozen=True)
class Timestamp:
    """An instant; `fraction` digits of a second (0-6)."""

    fraction: int = 0


@dataclass(frozen=True)
class Text:
    """CHAR, VARCHAR and the TEXT kinds."""


@dataclass(frozen=True)
class Enum:
    """ENUM; stored as its text, so that a new member needs no change downstream."""


@dataclass(frozen=True)
class Set:
    """SET; stored as its text, members separated by commas."""


@dataclass(frozen=True)
class Json:
    """JSON; stored as text. MySQL and its binlog format it differently, so it is compared parsed."""


@dataclass(frozen=True)
class Bit:
    """BIT(length); stored as an unsigned integer."""

    length: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.length <= 64:
            raise ContractError(f"Bit({self.length}) is not a MySQL BIT", "use a length of 1-64")


@dataclass(frozen=True)
class Binary:
    """BINARY, VARBINARY and the BLOB kinds.

    `length` is set for BINARY(length), which MySQL pads with zero bytes.
    """

    length: int | None = None


Type = (
    Int
    | UInt
    | Decimal
    | Float
    | Bool
    | Date
    | Time
    | Year
    | DateTime
    | Timestamp
    | Text
    | Enum
    | Set
    | Json
    | Bit
    | Binary
)

Dated = Date | Year | DateTime | Timestamp
"""Types that have zero dates."""


def _one_of(kind: str, value: int, allowed: tuple[int, ...]) -> None:
    if value not in allowed:
        raise ContractError(f"{kind}({value}) is not a type", f"use one of {', '.join(map(str, allowed))}")
