"""Authentication: the tenant, teams, scopes and expiry of a JWT. Nothing else of a request is trusted."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from core.clock import Clock, monotonic
from core.errors import MisconfiguredError
from core.settings import StreamerSettings
from streamer.jwks import Keys
from streamer.rpc_errors import RpcError

BEARER = "bearer "
EXPIRED = "the token has expired"
MAX_NUMBER = 1 << 64
Privacy = Literal["public", "clear"]
PUBLIC: Privacy = "public"
CLEAR: Privacy = "clear"


@dataclass(frozen=True)
class Caller:
    """`teams` is None if the token grants all teams; `expires` is in seconds since the epoch.

    `privacy` selects the columns that named queries return: `public` ones only, or those of every class
    (`clear`).
    """

    name: str
    tenant: int
    teams: frozenset[int] | None
    expires: float
    scopes: frozenset[str] = frozenset()
    privacy: Privacy = PUBLIC

    def seconds_left(self, now: float) -> float:
        """Until the token expires, from `now`, in seconds since the epoch; 0 afterwards."""
        return max(0.0, self.expires - now)


class Authenticator:
    """Verifies tokens by a local secret (HS256), or by the keys of a JWKS URL (RS256, ES256)."""

    def __init__(self, settings: StreamerSettings, clock: Clock = monotonic) -> None:
        if settings.jwks_url is None and settings.jwt_secret is None:
            raise MisconfiguredError(
                "the streamer has neither jwks_url nor jwt_secret", "set one of them in [streamer]"
            )
        self._audience, self._issuer = settings.audience, settings.issuer
        self._keys = None if settings.jwks_url is None else Keys(settings.jwks_url, clock)
        self._secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()
        self._algorithms = ["HS256"] if self._keys is None else ["RS256", "ES256"]
        self._required = ["exp", "aud", "sub", *([] if self._issuer is None else ["iss"])]

    async def admit(self, authorization: str | None) -> Caller:
        """Returns the caller of an `Authorization` header.

        Raises RpcError: `unauthenticated`, or `unavailable` while the identity provider's keys cannot be
        fetched.
        """
        if authorization is None or not authorization.lower().startswith(BEARER):
            raise RpcError("unauthenticated", "a bearer token is required")
        token = authorization[len(BEARER) :].strip()
        try:
            key = await self._key(token)
            claims = jwt.decode(
                token,
                key,
                self._algorithms,
                {"require": self._required},
                audience=self._audience,
                issuer=self._issuer,
            )
        except (
            jwt.PyJWTError,
            TypeError,
            ValueError,
        ) as error:  # the latter two if the key does not fit the algorithm
            raise RpcError(
                "unauthenticated", f"the token is refused: {type(error).__name__.removesuffix('Error')}"
            ) from None
        return _caller(claims)

    async def _key(self, token: str) -> Any:
        if self._keys is None:
            return self._secret
        name = jwt.get_unverified_header(token).get("kid")
        key = None if name is None else await self._keys.key(name)
        if key is None:
            raise RpcError("unauthenticated", "the token is refused: the identity provider has no such key")
        return key


def _caller(claims: dict[str, Any]) -> Caller:
    tenant, teams = _number(claims.get("tenant")), claims.get("teams")
    if tenant is None:
        raise RpcError("unauthenticated", "the token has no tenant")
    listed = [_number(team) for team in teams] if isinstance(teams, list) else []
    if None in listed or not isinstance(teams, list | None):
        raise RpcError("unauthenticated", "the token's teams are not a list of numbers")
    of_teams = None if teams is None else frozenset(team for team in listed if team is not None)
    privacy = claims.get("privacy", PUBLIC)
    if privacy not in (PUBLIC, CLEAR):
        raise RpcError("unauthenticated", f"the token's claim `privacy` is neither {PUBLIC!r} nor {CLEAR!r}")
    return Caller(
        claims["sub"], tenant, of_teams, float(claims["exp"]), _scopes(claims.get("scope")), privacy
    )


def _number(value: Any) -> int | None:
    """Accepts digits as text, as some identity providers encode every claim as text.

    `true` is not a number.
    """
    if (
        isinstance(value, str)
        and value.isascii()
        and value.isdecimal()
        and len(value) <= len(str(MAX_NUMBER))
    ):
        value = int(value)
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_NUMBER else None
    )


def _scopes(value: Any) -> frozenset[str]:
    """Splits at spaces (RFC 8693)."""
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
    """Returns a token signed by the local secret, valid for `lasts`.

    Raises MisconfiguredError if there is no secret.
    """
    if settings.jwt_secret is None:
        raise MisconfiguredError(
            "there is no local secret to sign a token with", "obtain one from your identity provider"
        )
    claims: dict[str, Any] = {
        "sub": name,
        "aud": settings.audience,
        "tenant": tenant,
        "exp": int(time.time() + lasts.total_seconds()),
    }
    claims |= {} if teams is None else {"teams": list(teams)}
    claims |= {"scope": scope} if scope else {}
    claims |= {} if privacy == PUBLIC else {"privacy": privacy}
    claims |= {"iss": settings.issuer} if settings.issuer else {}
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")
