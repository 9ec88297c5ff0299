"""One step of a plan: what it changes, where, and whether it loses data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class Phase(IntEnum):
    """The phases of `apply`, in their order: each needs what earlier ones created."""

    TOPIC = 1
    GENERATION = 2
    """A topic's identity is bound as its table's next generation."""
    TOPIC_CONFIG = 3
    GAP = 4
    """Landing may skip records that expired before they landed."""
    CREATE_TABLE = 5
    ALTER_TABLE = 6
    DROP_COLUMNS = 7
    STORE_CONTRACT = 8
    STOP_CAPTURE = 9
    """Before the connector's config changes: the loss is approved table by table."""
    CONNECTOR = 10
    SNAPSHOT = 11


@dataclass(frozen=True)
class Step:
    """`target` names the planner that planned the step and applies it."""

    phase: Phase
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
