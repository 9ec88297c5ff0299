"""An identity provider's keys, fetched by JWKS."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jwt

from core import logging
from streamer.refusals import RefusalError

FETCH_SECONDS = 5.0
LIFE_SECONDS = 300.0
"""A key that the provider withdraws is refused after so long."""
UNKNOWN_SECONDS = 30.0
FAILED_SECONDS = 5.0
"""So long after a fetch, and after one that failed, unknown keys cannot make it ask again."""
log = logging.get("streamer")


class Keys:
    """Owned by one loop. Nobody whose key is known waits for the provider, and all others wait for one fetch.

    Not PyJWKClient's own cache: it holds one lock while it fetches, and has no pause after a fetch that failed.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "jwks")
        self._held: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._failed_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, name: str) -> jwt.PyJWK | None:
        """None if the provider publishes none of that name. Raises RefusalError while the keys cannot be had."""
        if self._fresh and name in self._held:
            return self._held[name]
        if not self._rests:
            await self._fetch()
        if not self._fresh or (name not in self._held and self._failed_at > self._fetched_at):
            raise RefusalError("unavailable", "the identity provider does not tell its keys; try again")
        return self._held.get(name)

    @property
    def _fresh(self) -> bool:
        return self._clock() - self._fetched_at < LIFE_SECONDS

    @property
    def _rests(self) -> bool:
        now = self._clock()
        return now - self._fetched_at < UNKNOWN_SECONDS or now - self._failed_at < FAILED_SECONDS

    async def _fetch(self) -> None:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetched())
        await asyncio.shield(self._fetching)

    async def _fetched(self) -> None:
        try:
            keys = await asyncio.get_running_loop().run_in_executor(self._thread, self._client.get_signing_keys)
        except Exception as error:  # a provider, or what stands before it, may send anything: a page in HTML, half a key
            self._failed_at = self._clock()
            log.error("the identity provider's keys cannot be fetched", url=self._client.uri, error=repr(error)[:500])
        else:
            self._held, self._fetched_at = {key.key_id: key for key in keys}, self._clock()
