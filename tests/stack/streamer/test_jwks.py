"""In production tokens are the identity provider's: its keys are fetched by JWKS, and nobody else's are
believed."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from core.settings import StreamerSettings
from streamer import jwks
from streamer.auth import Authenticator, Caller
from streamer.rpc_errors import RpcError
from tests.clock import ManualClock
from tests.pipeline import eventually

CLAIMS = {"sub": "ada", "aud": "switchboard", "tenant": 7, "exp": int(time.time()) + 24 * 3600}


def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """Serves the public halves of its keys, by id; `body` in their place, where there is one; and only when
    it is `ready`."""

    def __init__(self) -> None:
        self.keys = {"first": key()}
        self.elliptic = ec.generate_private_key(ec.SECP256R1())
        self.body = b""
        self.asked = 0
        self.ready = threading.Event()
        self.ready.set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                provider.ready.wait(30)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(provider.body or provider.published())

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"

    def published(self) -> bytes:
        keys = [
            {
                **RSAAlgorithm.to_jwk(held.public_key(), as_dict=True),
                "kid": name,
                "use": "sig",
                "alg": "RS256",
            }
            for name, held in self.keys.items()
        ]
        keys.append({**ECAlgorithm.to_jwk(self.elliptic.public_key(), as_dict=True), "kid": "elliptic"})
        return json.dumps({"keys": keys}).encode()

    def token(self, name: str, signed_by: rsa.RSAPrivateKey | None = None, algorithm: str = "RS256") -> str:
        return "Bearer " + jwt.encode(
            CLAIMS, signed_by or self.keys[name], algorithm=algorithm, headers={"kid": name}
        )


@pytest.fixture
def provider() -> Iterator[Provider]:
    created = Provider()
    thread = threading.Thread(target=created.server.serve_forever)
    thread.start()
    yield created
    created.server.shutdown()
    created.server.server_close()
    thread.join()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def authenticator(provider: Provider, clock: ManualClock) -> Authenticator:
    return Authenticator(StreamerSettings(jwks_url=provider.url), clock)


def admitted(authenticator: Authenticator, token: str) -> Caller:
    return asyncio.run(authenticator.admit(token))


def refusal(authenticator: Authenticator, token: str) -> RpcError:
    with pytest.raises(RpcError) as caught:
        admitted(authenticator, token)
    return caught.value


def test_a_token_of_a_published_key_is_taken_and_the_keys_are_asked_for_once(
    provider: Provider, authenticator: Authenticator
) -> None:
    for _ in range(3):
        assert admitted(authenticator, provider.token("first")).tenant == 7
    assert provider.asked == 1


def test_a_key_that_is_published_later_is_found(
    provider: Provider, authenticator: Authenticator, clock: ManualClock
) -> None:
    admitted(authenticator, provider.token("first"))
    provider.keys["second"] = key()
    clock.now += jwks.UNKNOWN_SECONDS
    assert admitted(authenticator, provider.token("second")).name == "ada"


def test_a_key_that_is_withdrawn_is_refused(
    provider: Provider, authenticator: Authenticator, clock: ManualClock
) -> None:
    token = provider.token("first")
    admitted(authenticator, token)
    provider.keys = {"second": key()}
    admitted(authenticator, token)
    clock.now += jwks.LIFE_SECONDS
    assert refusal(authenticator, token).code == "unauthenticated"


def test_another_key_under_a_published_name_is_refused(
    provider: Provider, authenticator: Authenticator
) -> None:
    assert (
        str(refusal(authenticator, provider.token("first", signed_by=key())))
        == "the token is refused: InvalidSignature"
    )


def test_a_key_of_another_kind_under_a_published_name_is_refused(
    provider: Provider, authenticator: Authenticator
) -> None:
    assert (
        str(refusal(authenticator, provider.token("elliptic", signed_by=key())))
        == "the token is refused: InvalidAlgorithm"
    )


def test_keys_that_nobody_publishes_are_refused_and_asked_for_once(
    provider: Provider, authenticator: Authenticator
) -> None:
    for number in range(5):
        error = refusal(authenticator, provider.token(f"stranger {number}", signed_by=key()))
        assert (error.code, "the identity provider has no such key" in str(error)) == (
            "unauthenticated",
            True,
        )
    assert provider.asked == 1


def test_the_public_key_is_no_shared_secret(provider: Provider, authenticator: Authenticator) -> None:
    public = provider.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = ".".join(
        encoded(part) for part in (b'{"alg":"HS256","kid":"first"}', json.dumps(CLAIMS).encode())
    )
    forged = f"{signed}.{encoded(hmac.digest(public, signed.encode(), 'sha256'))}"
    assert "InvalidAlgorithm" in str(refusal(authenticator, f"Bearer {forged}"))


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "body", [b"<html>Back at noon</html>", b"[]", b'{"keys": [{"kid": 3}]}', b'{"keys": []}', b"\xff"]
)
def test_a_provider_that_is_away_is_no_fault_of_the_token(
    provider: Provider, authenticator: Authenticator, clock: ManualClock, body: bytes
) -> None:
    provider.body = body
    for _ in range(3):
        error = refusal(authenticator, provider.token("first"))
        assert (error.code, str(error)) == (
            "unavailable",
            "the identity provider's keys cannot be fetched; retry",
        )
    assert provider.asked == 1
    provider.body = b""
    clock.now += jwks.FAILED_SECONDS
    assert admitted(authenticator, provider.token("first")).tenant == 7


def test_no_token_is_taken_of_a_provider_that_nobody_reaches(provider: Provider) -> None:
    away = Authenticator(StreamerSettings(jwks_url="http://127.0.0.1:9/jwks"))
    assert refusal(away, provider.token("first")).code == "unavailable"


def test_whose_key_is_known_does_not_wait_for_a_provider_that_is_asked_for_others(
    provider: Provider, authenticator: Authenticator, clock: ManualClock
) -> None:
    async def check() -> None:
        await authenticator.admit(provider.token("first"))
        clock.now += jwks.UNKNOWN_SECONDS
        provider.ready.clear()
        strangers = [
            asyncio.create_task(authenticator.admit(provider.token(f"{number}", signed_by=stranger)))
            for number in range(5)
        ]
        await asyncio.to_thread(eventually, lambda: provider.asked == 2)
        assert (await authenticator.admit(provider.token("first"))).tenant == 7
        assert not any(task.done() for task in strangers)
        provider.ready.set()
        results = await asyncio.gather(*strangers, return_exceptions=True)
        assert [error.code for error in results if isinstance(error, RpcError)] == ["unauthenticated"] * 5
        assert provider.asked == 2

    stranger = key()
    asyncio.run(check())
