"""A streamer in a process of its own, and clients of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import requests
from pydantic import SecretStr

from core.settings import StreamerSettings
from streamer.auth import Privacy, mint
from streamer.gen.switchboard.v1 import live_pb2 as pb
from tests.launching import Process
from tests.pipeline import Pipeline, end, eventually

SETTINGS = StreamerSettings(jwt_secret=SecretStr("a secret that is long enough for HS256 to like it"))


@dataclass
class Server:
    page: str
    grpc: str
    metrics: str
    process: Process


@contextmanager
def streaming(pipeline: Pipeline, port: int = 0) -> Iterator[Server]:
    assert SETTINGS.jwt_secret is not None
    secret = {"SWITCHBOARD_STREAMER__JWT_SECRET": SETTINGS.jwt_secret.get_secret_value()}
    log = pipeline.home / "logs" / "streamer.log"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    process = pipeline.start("streamer", "stream", "--port", str(port), "--grpc-port", "0", **secret)

    def event_of(event: str) -> Any:
        lines = log.read_text().splitlines()[before:]
        return next((json.loads(line) for line in lines if f'"event": "{event}"' in line), None)

    try:
        serving = eventually(lambda: event_of("serving"))
        yield Server(
            serving["page"],
            serving["grpc"],
            f"http://127.0.0.1:{event_of('metrics')['port']}/metrics",
            process,
        )
    finally:
        if process.poll() is None:
            assert end(process) == 0


def metric_value(server: Server, metric: str) -> float:
    """Zero for a metric that is not there."""
    lines = requests.get(server.metrics, timeout=10).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == metric), 0.0)


def token(
    tenant: int,
    teams: list[int] | None = None,
    minutes: float = 10,
    scope: str = "",
    privacy: Privacy = "public",
) -> str:
    return "Bearer " + mint(
        SETTINGS, tenant, teams, dt.timedelta(minutes=minutes), scope=scope, privacy=privacy
    )


def watch(server: Server, authorization: str, limit: float = 60) -> Iterator[pb.WatchResponse]:
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_stream(
            "/switchboard.v1.Supervisor/Watch",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.WatchResponse.FromString,
        )
        yield from call(pb.WatchRequest(), metadata=(("authorization", authorization),), timeout=limit)


class Page:
    """The state of a client after the messages so far."""

    def __init__(self) -> None:
        self.agents: dict[int, pb.Agent] = {}
        self.queues: dict[int, pb.Queue] = {}

    def take(self, message: pb.WatchResponse) -> None:
        if message.snapshot:
            self.agents, self.queues = {}, {}
        for identity in message.removed_agent_ids:
            self.agents.pop(identity, None)
        self.agents |= {item.agent_id: item for item in message.agents}
        self.queues |= {item.queue_id: item for item in message.queues}

    def until(self, messages: Iterator[pb.WatchResponse], what: Callable[[Page], Any]) -> Page:
        for message in messages:
            self.take(message)
            if what(self):
                return self
        raise AssertionError("the stream ended before")


def states(page: Page) -> dict[int, str]:
    return {identity: agent.state for identity, agent in page.agents.items()}
