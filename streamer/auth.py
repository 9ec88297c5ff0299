"""Who asks: a JWT's tenant, teams and scopes, and until when. Nothing of a request is believed but its token."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from core.errors import MisconfiguredError
from core.settings import StreamerSettings
from streamer.jwks import Keys
from streamer.refusals import RefusalError

BEARER = "bearer "
EXPIRED = "the token has expired"
MOST = 1 << 64
Privacy = Literal["public", "clear"]
PUBLIC: Privacy = "public"
CLEAR: Privacy = "clear"


@dataclass(frozen=True)
class Caller:
    """`teams` is None where the token does not narrow them down; `expires` is in seconds since 1970.

    `privacy` says which columns named queries show: those of the class public alone, or all that are classified.
    """

    name: str
    tenant: int
    teams: frozenset[int] | None
    expires: float
    scopes: frozenset[str] = frozenset()
    privacy: Privacy = PUBLIC

    @property
    def expired(self) -> bool:
        return time.time() >= self.expires


class Authenticator:
    """HS256 by a secret, for local use, or the keys of a JWKS address."""

    def __init__(self, settings: StreamerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        if settings.jwks_url is None and settings.jwt_secret is None:
            raise MisconfiguredError("the streamer has neither jwks_url nor jwt_secret", "set one of them in [streamer]")
        self._audience, self._issuer = settings.audience, settings.issuer
        self._keys = None if settings.jwks_url is None else Keys(settings.jwks_url, clock)
        self._secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()
        self._algorithms = ["HS256"] if self._keys is None else ["RS256", "ES256"]
        self._required = ["exp", "aud", "sub", *([] if self._issuer is None else ["iss"])]

    async def admit(self, authorization: str | None) -> Caller:
        """Raises RefusalError: `unauthenticated`, or `unavailable` while the provider's keys cannot be had."""
        if authorization is None or not authorization.lower().startswith(BEARER):
            raise RefusalError("unauthenticated", "a bearer token is needed")
        token = authorization[len(BEARER) :].strip()
        try:
            key = await self._key(token)
            claims = jwt.decode(token, key, self._algorithms, {"require": self._required}, audience=self._audience, issuer=self._issuer)
        except (jwt.PyJWTError, TypeError, ValueError) as error:  # the latter two where a key is not of the algorithm named
            raise RefusalError("unauthenticated", f"the token is refused: {type(error).__name__.removesuffix('Error')}") from None
        return _named(claims)

    async def _key(self, token: str) -> Any:
        if self._keys is None:
            return self._secret
        name = jwt.get_unverified_header(token).get("kid")
        key = None if name is None else await self._keys.key(name)
        if key is None:
            raise RefusalError("unauthenticated", "the token is refused: its key is none of the identity provider's")
        return key


def _named(claims: dict[str, Any]) -> Caller:
    tenant, teams = _number(claims.get("tenant")), claims.get("teams")
    if tenant is None:
        raise RefusalError("unauthenticated", "the token names no tenant")
    listed = [_number(team) for team in teams] if isinstance(teams, list) else []
    if None in listed or not isinstance(teams, list | None):
        raise RefusalError("unauthenticated", "the token's teams are not a list of numbers")
    of_teams = None if teams is None else frozenset(team for team in listed if team is not None)
    privacy = claims.get("privacy", PUBLIC)
    if privacy not in (PUBLIC, CLEAR):
        raise RefusalError("unauthenticated", f"the token's claim `privacy` is neither {PUBLIC!r} nor {CLEAR!r}")
    return Caller(claims["sub"], tenant, of_teams, float(claims["exp"]), _scopes(claims.get("scope")), privacy)


def _number(value: Any) -> int | None:
    """Of digits too: some identity providers write every claim as text. `true` is no number."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MOST)):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST else None


def _scopes(value: Any) -> frozenset[str]:
    """By RFC 8693 words with blanks between."""
    return frozenset(value.split()) if isinstance(value, str) else frozenset()


def mint(
    settings: StreamerSettings,
    tenant: int,
    teams: Iterable[int] | None,
    lasts: dt.timedelta,
    name: str = "supervisor",
    scope: str = "",
    privacy: Privacy = PUBLIC,
) -> str:
    """A token by the local secret. Raises MisconfiguredError where there is none."""
    if settings.jwt_secret is None:
        raise MisconfiguredError("there is no local secret to sign a token with", "take one from your identity provider")
    claims: dict[str, Any] = {"sub": name, "aud": settings.audience, "tenant": tenant, "exp": int(time.time() + lasts.total_seconds())}
    claims |= {} if teams is None else {"teams": list(teams)}
    claims |= {"scope": scope} if scope else {}
    claims |= {} if privacy == PUBLIC else {"privacy": privacy}
    claims |= {"iss": settings.issuer} if settings.issuer else {}
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")
