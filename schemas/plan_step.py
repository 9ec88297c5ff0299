"""One step of a plan: what it changes, where, and whether it loses data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """`target` names the planner that planned the step and applies it; `order` sorts the steps of all
    planners."""

    order: int
    target: str
    action: Literal["create", "change", "drop", "run"]
    subject: str
    summary: str
    diff: tuple[str, ...] = ()
    destructive: bool = False

    @property
    def approval_token(self) -> str:
        """What a user passes to `--allow` to approve a step that loses data."""
        return f"{self.target}:{self.subject}"
