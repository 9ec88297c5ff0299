"""In production tokens are the identity provider's: its keys are fetched by JWKS, and nobody else's are believed."""

from __future__ import annotations

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
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from core.settings import StreamerSettings
from streamer.auth import Authenticator, UnauthenticatedError

CLAIMS = {"sub": "ada", "aud": "switchboard", "tenant": 7, "exp": int(time.time()) + 24 * 3600}


def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """Serves the public halves of its keys, by id."""

    def __init__(self) -> None:
        self.keys = {"first": key()}
        self.asked = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                body = json.dumps({"keys": [published(name, held) for name, held in provider.keys.items()]}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"

    def token(self, name: str, signed_by: rsa.RSAPrivateKey | None = None, algorithm: str = "RS256") -> str:
        return "Bearer " + jwt.encode(CLAIMS, signed_by or self.keys[name], algorithm=algorithm, headers={"kid": name})


def published(name: str, held: rsa.RSAPrivateKey) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(held.public_key(), as_dict=True), "kid": name, "use": "sig", "alg": "RS256"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def authenticator(provider: Provider) -> Authenticator:
    return Authenticator(StreamerSettings(jwks_url=provider.url))


def test_a_token_of_a_published_key_is_taken_and_the_keys_are_asked_for_once(provider: Provider, authenticator: Authenticator) -> None:
    for _ in range(3):
        assert authenticator.caller(provider.token("first"), "peer", "Watch").tenant == 7
    assert provider.asked == 1


def test_a_key_that_is_published_later_is_found(provider: Provider, authenticator: Authenticator) -> None:
    authenticator.caller(provider.token("first"), "peer", "Watch")
    provider.keys["second"] = key()
    assert authenticator._keys is not None
    authenticator._keys.cooldown_duration = 0  # half a minute, so that unknown names cannot make it ask again and again
    assert authenticator.caller(provider.token("second"), "peer", "Watch").name == "ada"


def test_another_key_under_a_published_name_is_refused(provider: Provider, authenticator: Authenticator) -> None:
    with pytest.raises(UnauthenticatedError, match="InvalidSignature"):
        authenticator.caller(provider.token("first", signed_by=key()), "peer", "Watch")


def test_a_key_that_nobody_publishes_is_refused(provider: Provider, authenticator: Authenticator) -> None:
    with pytest.raises(UnauthenticatedError, match="the token is refused"):
        authenticator.caller(provider.token("stranger", signed_by=key()), "peer", "Watch")


def test_the_public_key_is_no_shared_secret(provider: Provider, authenticator: Authenticator) -> None:
    public = provider.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = ".".join(spelled(part) for part in (b'{"alg":"HS256","kid":"first"}', json.dumps(CLAIMS).encode()))
    forged = f"{signed}.{spelled(hmac.digest(public, signed.encode(), 'sha256'))}"
    with pytest.raises(UnauthenticatedError, match="InvalidAlgorithm"):
        authenticator.caller(f"Bearer {forged}", "peer", "Watch")


def spelled(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def test_no_token_is_taken_while_the_provider_is_away(provider: Provider) -> None:
    with pytest.raises(UnauthenticatedError, match="the token is refused"):
        Authenticator(StreamerSettings(jwks_url="http://127.0.0.1:9/jwks")).caller(provider.token("first"), "peer", "Watch")
