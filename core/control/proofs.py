"""When copies were proven equal."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import func, select

from core.control.database import ControlDatabase
from core.control.models import VerifyResult


def latest_proofs(control: ControlDatabase) -> dict[tuple[str, str], dt.datetime]:
    """Returns (shard, table) -> when the latest verification that found it equal began, in UTC.

    Blocks for the control database.
    """
    proofs = (
        select(VerifyResult.shard, VerifyResult.table_name, func.max(VerifyResult.started_at))
        .where(VerifyResult.answer == "equal")
        .group_by(VerifyResult.shard, VerifyResult.table_name)
    )
    with control.session() as session:
        return {(shard, table): began for shard, table, began in session.execute(proofs)}
