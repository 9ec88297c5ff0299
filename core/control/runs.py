"""A record of what commands did: a row of `runs` from the first step on, so that a killed command is visible
too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import update

from core.control.database import ControlDatabase
from core.control.models import Run, utc_now

RUNNING, COMPLETED, FAILED = "RUNNING", "COMPLETED", "FAILED"


@contextmanager
def recorded(control: ControlDatabase, kind: str, subject: str, **detail: Any) -> Iterator[dict[str, Any]]:
    """Records a run: RUNNING during the block, then COMPLETED, or FAILED with the error, which is re-raised.

    Yields the detail, which the block may extend. A run that stays RUNNING was killed, or lost the control
    database. Blocks on the control database.
    """
    with control.session() as session:
        run = Run(kind=kind, subject=subject, status=RUNNING, detail=dict(detail))
        session.add(run)
        session.flush()
        identity = run.id
    status = FAILED
    try:
        yield detail
        status = COMPLETED
    except BaseException as error:
        detail["error"] = (str(error) or type(error).__name__)[:2000]
        raise
    finally:
        with control.session() as session:
            session.execute(
                update(Run).where(Run.id == identity).values(status=status, detail=detail, ended_at=utc_now())
            )
