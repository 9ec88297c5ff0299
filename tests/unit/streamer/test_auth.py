"""Whoever has no good token is refused, and the log tells of it without the token."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from core.errors import MisconfiguredError
from core.settings import Settings, StreamerSettings
from streamer.auth import Authenticator, Caller, mint
from streamer.calls import admitted
from streamer.local_secret import resolve_settings
from streamer.rpc_errors import RpcError

SECRET = "a secret that is long enough for HS256 to like it"
SETTINGS = StreamerSettings(jwt_secret=SecretStr(SECRET))
GOOD: dict[str, Any] = {"sub": "ada", "aud": "switchboard", "tenant": 7, "exp": int(time.time()) + 24 * 3600}


def signed(key: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return "Bearer " + jwt.encode(claims, key, algorithm=algorithm)


def caller_of(authorization: str | None, settings: StreamerSettings = SETTINGS) -> Caller:
    return asyncio.run(Authenticator(settings).admit(authorization))


def test_tenant_teams_and_scopes_come_from_the_token() -> None:
    expires = float(GOOD["exp"])
    assert caller_of(signed(teams=[1, 2], scope="a b")) == Caller(
        "ada", 7, frozenset((1, 2)), expires, frozenset(("a", "b"))
    )
    assert caller_of(signed(teams=[])) == Caller("ada", 7, frozenset(), expires)
    assert caller_of(signed()) == Caller("ada", 7, None, expires)
    assert caller_of(signed(privacy="clear")) == Caller("ada", 7, None, expires, privacy="clear")


def test_numbers_may_be_written_as_text() -> None:
    caller = caller_of(signed(tenant="7", teams=["1", 2]))
    assert (caller.tenant, caller.teams) == (7, frozenset((1, 2)))


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "a bearer token is required"),
        ("Basic abc", "a bearer token is required"),
        ("Bearer abc", "the token is refused: Decode"),
        (
            signed(key="another secret that is long enough for it too"),
            "the token is refused: InvalidSignature",
        ),
        ("Bearer " + jwt.encode(GOOD, "", algorithm="none"), "the token is refused: InvalidAlgorithm"),
        (signed(exp=int(time.time()) - 1), "the token is refused: ExpiredSignature"),
        (signed(exp=...), "the token is refused: MissingRequiredClaim"),
        (signed(aud="another"), "the token is refused: InvalidAudience"),
        (signed(tenant=...), "the token has no tenant"),
        (signed(tenant="7 OR 1"), "the token has no tenant"),
        (signed(tenant="²"), "the token has no tenant"),
        (signed(tenant=-1), "the token has no tenant"),
        (signed(tenant=1 << 64), "the token has no tenant"),
        (signed(tenant=True), "the token has no tenant"),
        (signed(teams="all"), "the token's teams are not a list of numbers"),
        (signed(teams=[True]), "the token's teams are not a list of numbers"),
        (signed(teams=[1, "x"]), "the token's teams are not a list of numbers"),
        (signed(privacy="Clear"), "the token's claim `privacy` is neither 'public' nor 'clear'"),
        (signed(privacy=["clear"]), "the token's claim `privacy` is neither 'public' nor 'clear'"),
        (signed(privacy=True), "the token's claim `privacy` is neither 'public' nor 'clear'"),
        (signed(privacy=None), "the token's claim `privacy` is neither 'public' nor 'clear'"),
    ],
)
def test_others_are_refused(authorization: str | None, reason: str) -> None:
    """And the log tells of it, once, without the token."""

    async def call() -> None:
        async with admitted(Authenticator(SETTINGS), authorization, "Watch", "peer"):
            raise AssertionError("admitted")

    with capture_logs() as logs, pytest.raises(RpcError) as caught:
        asyncio.run(call())
    assert (caught.value.code, str(caught.value)) == ("unauthenticated", reason)
    line = {
        "event": "call refused",
        "peer": "peer",
        "method": "Watch",
        "tenant": None,
        "code": "unauthenticated",
        "reason": reason,
    }
    assert logs == [{**line, "log_level": "warning", "part": "streamer"}]


@pytest.mark.parametrize(
    ("issuer", "reason"), [(..., "MissingRequiredClaim"), ("https://evil", "InvalidIssuer")]
)
def test_another_issuer_is_refused_where_one_is_named(issuer: Any, reason: str) -> None:
    chosen = SETTINGS.model_copy(update={"issuer": "https://idp"})
    assert caller_of(signed(iss="https://idp"), chosen).tenant == 7
    with pytest.raises(RpcError, match=reason):
        caller_of(signed(iss=issuer), chosen)


def test_a_minted_token_is_taken() -> None:
    caller = caller_of("Bearer " + mint(SETTINGS, 3, [5], dt.timedelta(minutes=1), scope="analytics"))
    assert (caller.tenant, caller.teams, caller.scopes) == (3, frozenset((5,)), frozenset(("analytics",)))


def test_no_key_is_no_default() -> None:
    with pytest.raises(MisconfiguredError):
        Authenticator(StreamerSettings())


def test_production_takes_no_tokens_by_a_secret() -> None:
    with pytest.raises(MisconfiguredError, match="identity provider"):
        resolve_settings(Settings(profile="production", streamer=SETTINGS))
    provided = StreamerSettings(jwks_url="https://idp/jwks")
    assert resolve_settings(Settings(profile="production", streamer=provided)) == provided


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="together"):
        StreamerSettings(tls_certificate=Path("here.pem"))
