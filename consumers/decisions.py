"""What an operator has decided about a table by `switchboard apply`; running landers follow changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consumers import gaps, generations
from consumers.applied_contracts import UNAPPLIED, applied
from core.control import ControlDatabase
from schemas.table import Table


@dataclass(frozen=True)
class Decision:
    """The applied contract's fingerprint, the newest bound generation of the topic, and the newest gap that
    was accepted."""

    contract: str
    generation: int
    gap: int


def decisions(control: ControlDatabase, tables: Mapping[str, Table]) -> dict[str, Decision]:
    """Returns the decision on each topic. Blocks on the control database."""
    contracts = applied(control)
    bound = generations.newest(control)
    accepted = gaps.accepted(control)
    return {
        topic: Decision(
            contracts.get(table.name, UNAPPLIED).fingerprint,
            bound.get(topic, 0),
            accepted[topic].number if topic in accepted else 0,
        )
        for topic, table in tables.items()
    }
