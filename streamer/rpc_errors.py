"""Errors that a client receives, independent of the transport.

They never contain the cause of an internal failure.
"""

from __future__ import annotations

import traceback
from typing import Literal

from core import logging, metrics
from core.errors import TransientError

Code = Literal[
    "unauthenticated",
    "permission_denied",
    "not_found",
    "invalid_argument",
    "resource_exhausted",
    "unavailable",
    "internal",
]
log = logging.get("streamer")


class RpcError(Exception):
    """`text` is sent to the client and must not contain the token."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def to_rpc_error(error: Exception, *, method: str, peer: str, tenant: int | None) -> RpcError:
    """Logs and counts the error, and returns the RpcError to send. Called once for each failed call of any
    transport.

    The cause of an unexpected error is only in the log. `tenant` is None if the token was refused.
    """
    result = _as_rpc_error(error)
    where = {"peer": peer, "method": method, "tenant": tenant, "code": result.code}
    metrics.REFUSALS.labels(str(result) if result.code == "unauthenticated" else result.code).inc()
    if result is error:
        cause = {} if error.__cause__ is None else {"cause": repr(error.__cause__)[:500]}
        log.warning("call refused", **where, reason=str(result), **cause)
    else:
        log.error(
            "call failed",
            **where,
            reason=str(error)[:500],
            trace="".join(traceback.format_exception(error))[-4000:],
        )
    return result


def _as_rpc_error(error: Exception) -> RpcError:
    if isinstance(error, RpcError):
        return error
    if isinstance(error, TransientError):
        return RpcError("unavailable", "a server that this call needs does not answer; retry")
    return RpcError("internal", "internal error; see the server's log")
