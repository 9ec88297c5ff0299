"""Records that expired before a lander read them, as accepted by an operator: landing may start after
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from core.control import ControlDatabase
from core.control.models import Run, utc_now

KIND = "gap"


@dataclass(frozen=True)
class Gap:
    """`offsets` maps a partition to the committed offset at acceptance: the gap is skipped from that offset
    only."""

    number: int
    generation: int
    offsets: Mapping[int, int]


def accept(control: ControlDatabase, topic: str, generation: int, offsets: Mapping[int, int]) -> None:
    """Lets landers of this generation with these committed offsets start at the log's start.

    Blocks on the control database.
    """
    detail = {
        "generation": generation,
        "offsets": {str(partition): offset for partition, offset in offsets.items()},
    }
    with control.session() as session:
        session.add(Run(kind=KIND, subject=topic, status="COMPLETED", detail=detail, ended_at=utc_now()))


def accepted(control: ControlDatabase) -> dict[str, Gap]:
    """Returns the newest gap of each topic. Blocks on the control database."""
    newest = select(func.max(Run.id)).where(Run.kind == KIND).group_by(Run.subject)
    with control.session() as session:
        return {run.subject: _gap(run) for run in session.scalars(select(Run).where(Run.id.in_(newest)))}


def _gap(run: Run) -> Gap:
    offsets = {int(partition): int(offset) for partition, offset in run.detail["offsets"].items()}
    return Gap(int(run.id), int(run.detail["generation"]), offsets)
