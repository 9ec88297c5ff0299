"""One step of a plan: what would change where, and whether it would lose data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """`target` is the room that offered the step and carries it out; `order` sorts steps over all rooms."""

    order: int
    target: str
    action: Literal["create", "change", "drop", "run"]
    subject: str
    summary: str
    diff: tuple[str, ...] = ()
    destroys: bool = False

    @property
    def word(self) -> str:
        """What a user names to allow a step that loses data."""
        return f"{self.target}:{self.subject}"
