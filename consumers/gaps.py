"""Records that expired before a lander read them, as accepted by an operator: landing may start after
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from core.control import ControlDatabase
from core.control.models import AcceptedGap


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
    by_partition = {str(partition): offset for partition, offset in offsets.items()}
    with control.session() as session:
        session.add(AcceptedGap(topic=topic, generation=generation, offsets=by_partition))


def accepted(control: ControlDatabase) -> dict[str, Gap]:
    """Returns the newest gap of each topic. Blocks on the control database."""
    newest = select(func.max(AcceptedGap.id)).group_by(AcceptedGap.topic)
    with control.session() as session:
        rows = session.scalars(select(AcceptedGap).where(AcceptedGap.id.in_(newest)))
        return {row.topic: _gap(row) for row in rows}


def _gap(row: AcceptedGap) -> Gap:
    offsets = {int(partition): int(offset) for partition, offset in row.offsets.items()}
    return Gap(row.id, row.generation, offsets)
