"""Authentication and errors of a call, independent of the transport."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from streamer.auth import Authenticator, Caller
from streamer.rpc_errors import to_rpc_error


@contextlib.asynccontextmanager
async def admitted(
    authenticator: Authenticator, authorization: str | None, method: str, peer: str
) -> AsyncIterator[Caller]:
    """Yields the caller of the token.

    Logs every error of the block, and raises it as the RpcError that the client receives.
    """
    caller: Caller | None = None
    try:
        caller = await authenticator.admit(authorization)
        yield caller
    except Exception as error:
        raise to_rpc_error(
            error, method=method, peer=peer, tenant=None if caller is None else caller.tenant
        ) from error
