"""Whoever has no good token is refused, and the log never holds it."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from core.errors import MisconfiguredError
from core.settings import StreamerSettings
from streamer.auth import Authenticator, UnauthenticatedError, mint

SECRET = "a secret that is long enough for HS256 to like it"
SETTINGS = StreamerSettings(jwt_secret=SecretStr(SECRET))
GOOD = {"sub": "ada", "aud": "switchboard", "tenant": 7, "exp": int(time.time()) + 24 * 3600}


def signed(key: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return "Bearer " + jwt.encode(claims, key, algorithm=algorithm)


def refusal(authorization: str | None) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        Authenticator(SETTINGS).caller(authorization, "peer", "Watch")
    return str(caught.value)


def test_tenant_and_teams_come_from_the_token() -> None:
    caller = Authenticator(SETTINGS).caller(signed(teams=[1, 2]), "peer", "Watch")
    assert (caller.tenant, caller.teams, caller.expired) == (7, frozenset((1, 2)), False)
    assert Authenticator(SETTINGS).caller(signed(), "peer", "Watch").teams is None


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "a bearer token is needed"),
        ("Basic abc", "a bearer token is needed"),
        ("Bearer abc", "the token is refused: Decode"),
        (signed(key="another secret that is long enough for it too"), "the token is refused: InvalidSignature"),
        ("Bearer " + jwt.encode(GOOD, "", algorithm="none"), "the token is refused: InvalidAlgorithm"),
        (signed(exp=int(time.time()) - 1), "the token is refused: ExpiredSignature"),
        (signed(exp=...), "the token is refused: MissingRequiredClaim"),
        (signed(aud="another"), "the token is refused: InvalidAudience"),
        (signed(tenant=...), "the token names no tenant"),
        (signed(tenant="7"), "the token names no tenant"),
        (signed(tenant=True), "the token names no tenant"),
        (signed(teams="all"), "the token's teams are not a list of numbers"),
    ],
)
def test_others_are_refused(authorization: str | None, reason: str) -> None:
    assert refusal(authorization) == reason


def test_a_refusal_is_logged_without_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    token = signed(aud="another")
    refusal(token)
    assert token.split()[1] not in "".join(capsys.readouterr())


def test_a_minted_token_is_taken() -> None:
    caller = Authenticator(SETTINGS).caller("Bearer " + mint(SETTINGS, 3, [5], dt.timedelta(minutes=1)), "peer", "Watch")
    assert (caller.tenant, caller.teams) == (3, frozenset((5,)))


def test_no_key_is_no_default() -> None:
    with pytest.raises(MisconfiguredError):
        Authenticator(StreamerSettings())
