"""A call from its token to its end, whatever transport carries it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from streamer.auth import Authenticator, Caller
from streamer.refusals import refused


@contextlib.asynccontextmanager
async def admitted(authenticator: Authenticator, authorization: str | None, method: str, peer: str) -> AsyncIterator[Caller]:
    """The caller. Raises, of whatever goes wrong until the end, the RefusalError that the client is to be told; it is logged."""
    caller: Caller | None = None
    try:
        caller = await authenticator.admit(authorization)
        yield caller
    except Exception as error:
        raise refused(error, method=method, peer=peer, tenant=None if caller is None else caller.tenant) from error
