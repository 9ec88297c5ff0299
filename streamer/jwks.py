"""The keys of an identity provider, fetched from its JWKS URL."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jwt

from core import logging
from streamer.rpc_errors import RpcError

FETCH_SECONDS = 5.0
LIFE_SECONDS = 300.0
"""A key that the provider has withdrawn is accepted for at most this long."""
UNKNOWN_SECONDS = 30.0
FAILED_SECONDS = 5.0
"""Pauses after a fetch, and after a failed one, in which unknown keys cause no further fetch."""
log = logging.get("streamer")


class Keys:
    """Used from one event loop. Callers with a known key do not wait for the provider; all others wait for
    one shared fetch.

    PyJWKClient's own cache is not used: it holds a lock while it fetches, and does not pause after a failed
    fetch.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "jwks")
        self._known: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._failed_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, name: str) -> jwt.PyJWK | None:
        """Returns the key with this id; None if the provider publishes no such key.

        Raises RpcError while keys cannot be fetched.
        """
        if self._fresh and name in self._known:
            return self._known[name]
        if not self._backing_off:
            await self._fetch()
        if not self._fresh or (name not in self._known and self._failed_at > self._fetched_at):
            raise RpcError("unavailable", "the identity provider's keys cannot be fetched; retry")
        return self._known.get(name)

    @property
    def _fresh(self) -> bool:
        return self._clock() - self._fetched_at < LIFE_SECONDS

    @property
    def _backing_off(self) -> bool:
        now = self._clock()
        return now - self._fetched_at < UNKNOWN_SECONDS or now - self._failed_at < FAILED_SECONDS

    async def _fetch(self) -> None:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._refresh())
        await asyncio.shield(self._fetching)

    async def _refresh(self) -> None:
        try:
            keys = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._client.get_signing_keys
            )
        except Exception as error:  # a provider or its proxy may send anything: an HTML page, half a key
            self._failed_at = self._clock()
            log.error(
                "the identity provider's keys cannot be fetched",
                url=self._client.uri,
                error=repr(error)[:500],
            )
        else:
            self._known, self._fetched_at = {key.key_id: key for key in keys}, self._clock()
