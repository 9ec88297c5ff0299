"""Plan and apply: asks each target what would change, in an order that loses nothing, and carries it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from connectors.planner import ConnectPlanner
from consumers.group_planner import GroupPlanner
from consumers.planner import ClickHousePlanner
from consumers.topic_planner import TopicPlanner
from core.control import ControlDatabase
from core.errors import RefusedError
from core.settings import Endpoints, Settings
from schemas.catalog import Catalog
from schemas.plan_step import Step


class Target(Protocol):
    name: str

    def plan(self) -> list[Step]: ...

    def apply(self, step: Step) -> None: ...


def targets(endpoints: Endpoints, settings: Settings, catalog: Catalog, control: ControlDatabase) -> list[Target]:
    return [
        TopicPlanner(endpoints, settings.topics, catalog, control),
        GroupPlanner(endpoints, settings.landing.group, catalog, control),
        ClickHousePlanner(endpoints, catalog, control),
        ConnectPlanner(endpoints, catalog, control),
    ]


def plan(rooms: Sequence[Target]) -> list[Step]:
    """Every step, in the order in which `apply` takes them. Blocks on the servers; changes nothing."""
    return sorted((step for room in rooms for step in room.plan()), key=lambda step: (step.order, step.subject))


def apply(rooms: Sequence[Target], allowed: frozenset[str], tell: Callable[[Step], None]) -> int:
    """Carries out the plan, and what follows from it, and returns the number of steps. Safe to repeat and to interrupt.

    Raises RefusedError before the first step if one would lose data and its `word` is not in `allowed`.
    """
    by_name = {room.name: room for room in rooms}
    done: list[Step] = []
    while steps := [step for step in plan(rooms) if step not in done]:
        refused = [step for step in steps if step.destructive and step.approval_token not in allowed]
        if refused:
            words = " ".join(f"--allow {step.approval_token}" for step in refused)
            raise RefusedError(
                f"{len(refused)} steps would lose data: {', '.join(s.approval_token for s in refused)}", f"allow them by {words}"
            )
        for step in steps:
            tell(step)
            by_name[step.target].apply(step)
        done += steps
    return len(done)
