"""Who asks: a JWT's tenant and teams, and until when. Nothing of a request is believed but its token."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

import jwt

from core import logging, metrics
from core.errors import MisconfiguredError
from core.settings import StreamerSettings

log = logging.get("streamer")
BEARER = "bearer "


@dataclass(frozen=True)
class Caller:
    """`teams` is None where the token does not narrow them down; `expires` is in seconds since 1970."""

    name: str
    tenant: int
    teams: frozenset[int] | None
    expires: float

    @property
    def expired(self) -> bool:
        return time.time() >= self.expires


class UnauthenticatedError(Exception):
    """The text is for the caller and never tells of the token."""


class Authenticator:
    """HS256 by a secret, for local use, or the keys of a JWKS address. The latter blocks on the network when keys are not known."""

    def __init__(self, settings: StreamerSettings) -> None:
        if settings.jwks_url is None and settings.jwt_secret is None:
            raise MisconfiguredError("the streamer has neither jwks_url nor jwt_secret", "set one of them in [streamer]")
        self._audience = settings.audience
        self._keys = None if settings.jwks_url is None else jwt.PyJWKClient(settings.jwks_url, timeout=5)
        self._secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()

    async def admit(self, authorization: str | None, peer: str, method: str) -> Caller:
        """As `caller`, without holding up the loop while keys are fetched."""
        if self._keys is None:
            return self.caller(authorization, peer, method)
        return await asyncio.to_thread(self.caller, authorization, peer, method)

    def caller(self, authorization: str | None, peer: str, method: str) -> Caller:
        """Raises UnauthenticatedError; each refusal is logged."""
        try:
            if authorization is None or not authorization.lower().startswith(BEARER):
                raise UnauthenticatedError("a bearer token is needed")
            return self._caller(authorization[len(BEARER) :].strip())
        except UnauthenticatedError as error:
            metrics.REFUSALS.labels(str(error)).inc()
            log.warning("refused", peer=peer, method=method, reason=str(error))
            raise

    def _caller(self, token: str) -> Caller:
        try:
            key, algorithms = self._key(token)
            claims = jwt.decode(token, key, algorithms=algorithms, audience=self._audience, options={"require": ["exp", "aud", "sub"]})
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(f"the token is refused: {type(error).__name__.removesuffix('Error')}") from None
        return _named(claims)

    def _key(self, token: str) -> tuple[Any, list[str]]:
        if self._keys is not None:
            return self._keys.get_signing_key_from_jwt(token).key, ["RS256", "ES256"]
        return self._secret, ["HS256"]


def _named(claims: dict[str, Any]) -> Caller:
    tenant, teams = claims.get("tenant"), claims.get("teams")
    if not isinstance(tenant, int) or isinstance(tenant, bool):
        raise UnauthenticatedError("the token names no tenant")
    if teams is not None and not (isinstance(teams, list) and all(isinstance(team, int) for team in teams)):
        raise UnauthenticatedError("the token's teams are not a list of numbers")
    return Caller(str(claims["sub"]), tenant, None if teams is None else frozenset(teams), float(claims["exp"]))


def mint(settings: StreamerSettings, tenant: int, teams: list[int] | None, lasts: dt.timedelta, name: str = "supervisor") -> str:
    """A token by the local secret. Raises MisconfiguredError where there is none."""
    if settings.jwt_secret is None:
        raise MisconfiguredError("there is no local secret to sign a token with", "take one from your identity provider")
    claims: dict[str, Any] = {"sub": name, "aud": settings.audience, "tenant": tenant, "exp": int(time.time() + lasts.total_seconds())}
    if teams is not None:
        claims["teams"] = teams
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")
