"""What a service refuses, whatever transport carries it, and what a client is told of a fault: never its cause."""

from __future__ import annotations

import traceback
from typing import Literal

from core import logging, metrics
from core.errors import TransientError

Code = Literal["unauthenticated", "permission_denied", "not_found", "invalid_argument", "resource_exhausted", "unavailable", "internal"]
log = logging.get("streamer")


class RefusalError(Exception):
    """The text is for the caller, and never tells of the token."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def refused(error: Exception, *, method: str, peer: str, tenant: int | None) -> RefusalError:
    """What the client is to be told, now that the log has it: every refusal of every transport passes here, once.

    The cause of what was not foreseen is in the log alone. `tenant` is None where the token is not good.
    """
    told = _told(error)
    where = {"peer": peer, "method": method, "tenant": tenant, "code": told.code}
    metrics.REFUSALS.labels(str(told) if told.code == "unauthenticated" else told.code).inc()
    if told is error:
        cause = {} if error.__cause__ is None else {"cause": repr(error.__cause__)[:500]}
        log.warning("refused", **where, reason=str(told), **cause)
    else:
        log.error("not answered", **where, reason=str(error)[:500], trace="".join(traceback.format_exception(error))[-4000:])
    return told


def _told(error: Exception) -> RefusalError:
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, TransientError):
        return RefusalError("unavailable", "a server that this needs does not answer; ask again")
    return RefusalError("internal", "the server could not answer; its log tells why")
