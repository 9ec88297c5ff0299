"""Records what commands do: from their first step on, so that a killed command is visible too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from core.clock import utc_now
from core.control.database import ControlDatabase
from core.control.models import ApplyRun, BackfillStep

RUNNING, COMPLETED, FAILED = "RUNNING", "COMPLETED", "FAILED"
MAX_ERROR_CHARS = 2000
Record = TypeVar("Record", ApplyRun, BackfillStep)


@contextmanager
def recorded(control: ControlDatabase, record: Record) -> Iterator[Record]:
    """Stores the record: RUNNING during the block, then COMPLETED, or FAILED with the error, which is
    re-raised.

    Yields the record, whose fields the block may set. One that stays RUNNING was killed, or lost the control
    database. Blocks on the control database.
    """
    record.status = RUNNING
    with control.session() as session:
        session.add(record)
    try:
        yield record
        record.status = COMPLETED
    except BaseException as error:
        record.status, record.error = FAILED, (str(error) or type(error).__name__)[:MAX_ERROR_CHARS]
        raise
    finally:
        record.ended_at = utc_now()
        with control.session() as session:
            session.merge(record)
