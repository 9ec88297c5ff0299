"""Plan and apply: collects the steps of all planners in an order that loses nothing, and carries them out."""

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


class Planner(Protocol):
    """Plans and applies the changes of one target, whose name its steps have."""

    name: str

    def plan(self) -> list[Step]: ...

    def apply(self, step: Step) -> None: ...


def make_planners(
    endpoints: Endpoints, settings: Settings, catalog: Catalog, control: ControlDatabase
) -> list[Planner]:
    return [
        TopicPlanner(endpoints, settings.topics, catalog, control),
        GroupPlanner(endpoints, settings.landing.group, catalog, control),
        ClickHousePlanner(endpoints, catalog, control),
        ConnectPlanner(endpoints, catalog, control),
    ]


def plan(planners: Sequence[Planner]) -> list[Step]:
    """Returns every step, in the order in which `apply` carries them out.

    Blocks for the servers; changes nothing.
    """
    return sorted(
        (step for planner in planners for step in planner.plan()), key=lambda step: (step.phase, step.subject)
    )


def apply(planners: Sequence[Planner], allowed: frozenset[str], report: Callable[[Step], None]) -> int:
    """Carries out the plan and the steps that follow from it; returns their number. Safe to repeat and to
    interrupt.

    `report` is called before each step. Raises RefusedError before the first step if one is destructive and
    its approval token is not in `allowed`.
    """
    by_name = {planner.name: planner for planner in planners}
    done: list[Step] = []
    while steps := [step for step in plan(planners) if step not in done]:
        refused = [step for step in steps if step.destructive and step.approval_token not in allowed]
        if refused:
            words = " ".join(f"--allow {step.approval_token}" for step in refused)
            raise RefusedError(
                f"{len(refused)} steps would lose data: {', '.join(s.approval_token for s in refused)}",
                f"approve them by {words}",
            )
        for step in steps:
            report(step)
            by_name[step.target].apply(step)
        done += steps
    return len(done)
