"""What a registry is taken to know that was started just now, on a real HTTP server that stands in for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.clients.registry import STARTUP_SECONDS, Registry
from core.errors import TransientError
from core.settings import RegistryEndpoint
from tests.clock import ManualClock


class Known(ThreadingHTTPServer):
    """Answers for the schema ids in `ids`."""

    ids: frozenset[int] = frozenset()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Known)
        known = int(self.path.rsplit("/", 1)[1]) in self.server.ids
        body = json.dumps({"schema": "{}"} if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Known]:
    with Known(("127.0.0.1", 0), Handler) as registry:
        thread = threading.Thread(target=registry.serve_forever)
        thread.start()
        yield registry
        registry.shutdown()
        thread.join()


def registry(server: Known, clock: ManualClock) -> Registry:
    return Registry(
        RegistryEndpoint(url=f"http://127.0.0.1:{server.server_port}"), retry_timeout=0, clock=clock
    )


def test_an_id_that_it_does_not_know_at_first_is_asked_for_again_and_then_believed(server: Known) -> None:
    clock = ManualClock()
    asked = registry(server, clock)
    with pytest.raises(TransientError, match="does not know schema id 7, and may still be starting"):
        asked.schema(7)
    clock.now += STARTUP_SECONDS
    assert asked.schema(7) is None
    server.ids = frozenset({7})
    assert asked.schema(7) == "{}"


def test_one_that_was_away_is_not_believed_at_once_either(server: Known) -> None:
    clock = ManualClock()
    asked = registry(server, clock)
    server.ids = frozenset({7})
    assert asked.schema(7) == "{}"
    clock.now += 100
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(TransientError, match="does not answer"):
        asked.schema(8)
    again = Known(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=again.serve_forever)
    thread.start()
    try:
        with pytest.raises(TransientError, match="may still be starting"):
            asked.schema(8)
        clock.now += STARTUP_SECONDS
        assert asked.schema(8) is None
    finally:
        again.shutdown()
        thread.join()
        again.server_close()
