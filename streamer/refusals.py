"""What a service refuses, whatever transport carries it."""

from __future__ import annotations

from typing import Literal

Code = Literal["unauthenticated", "unavailable", "not_found", "invalid_argument"]


class RefusalError(Exception):
    """The text is for the caller."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
