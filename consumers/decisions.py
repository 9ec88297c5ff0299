"""What a person has decided about a table, by `switchboard apply`: a running lander that sees it change goes by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consumers import gaps, generations
from consumers.applied import NEVER, applied
from core.control import ControlDatabase
from schemas.table import Table


@dataclass(frozen=True)
class Decision:
    """The applied contract's fingerprint, the newest bound generation of the topic, and the newest gap that was accepted."""

    contract: str
    generation: int
    gap: int


def decisions(control: ControlDatabase, tables: Mapping[str, Table]) -> dict[str, Decision]:
    """By topic. Blocks on the control database."""
    contracts, bound, passed = applied(control), generations.newest(control), gaps.accepted(control)
    return {
        topic: Decision(contracts.get(table.name, NEVER).fingerprint, bound.get(topic, 0), passed[topic].number if topic in passed else 0)
        for topic, table in tables.items()
    }
