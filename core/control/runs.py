"""What commands did: a row of `runs` from their first step on, so that one that was killed is seen, too."""

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
    """RUNNING while the block runs, then COMPLETED, or FAILED with the error, which goes on. The block may add to the detail given.

    A run that stays RUNNING was killed, or lost the control database. Blocks on the control database.
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
            session.execute(update(Run).where(Run.id == identity).values(status=status, detail=detail, ended_at=utc_now()))
