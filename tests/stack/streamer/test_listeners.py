"""The two ports: addresses, TLS, limits, and the errors that clients receive."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from core.errors import MisconfiguredError
from core.settings import ClickHouseEndpoint, StreamerSettings
from schemas.catalog import Catalog
from schemas.render.analytics import Query
from streamer.analytics import Analytics
from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample.hub import Hub
from streamer.sample.state import State
from tests.stack.streamer.in_process import NOWHERE, Browser, code_of, listening, settings, stream, watching
from tests.stack.streamer.server import token

STREAMS = 1000


def certificate(folder: Path, name: str = "server") -> dict[str, Path]:
    """A self-signed certificate and its key, as settings."""
    key, subject = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]),
    )
    now = dt.datetime.now(dt.UTC)
    listeners = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    tls = {"tls_certificate": folder / f"{name}.pem", "tls_key": folder / f"{name}.key"}
    tls["tls_certificate"].write_bytes(listeners.public_bytes(Encoding.PEM))
    tls["tls_key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return tls


async def get(url: str, **more: Any) -> requests.Response:
    return await asyncio.to_thread(lambda: requests.get(url, timeout=10, **more))


def misconfigured(chosen: StreamerSettings) -> str:
    async def start() -> None:
        async with listening(chosen):
            """Not reached."""

    with pytest.raises(MisconfiguredError) as caught:
        asyncio.run(start())
    return str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "switchboard.example"])
def test_only_loopback_is_served_in_plain_text(host: str) -> None:
    assert f"on {host} tokens would be sent in plain text" in misconfigured(settings(host=host))


def test_a_proxy_may_terminate_tls() -> None:
    async def check() -> None:
        async with listening(settings(host="0.0.0.0", tls_by_proxy=True)) as listeners:
            page = await get(listeners.page.replace("0.0.0.0", "127.0.0.1"))
            assert (page.status_code, "strict-transport-security" in page.headers) == (200, False)

    asyncio.run(check())


def test_both_ports_use_the_certificate(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    trusted = grpc.ssl_channel_credentials(tls["tls_certificate"].read_bytes())

    async def check() -> None:
        async with listening(settings(host="0.0.0.0", **tls)) as listeners:
            page = await get(
                listeners.page.replace("0.0.0.0", "127.0.0.1"), verify=str(tls["tls_certificate"])
            )
            assert (page.status_code, page.headers["strict-transport-security"]) == (200, "max-age=31536000")
            async with grpc.aio.secure_channel(
                listeners.grpc.replace("0.0.0.0", "127.0.0.1"), trusted
            ) as channel:
                assert (await watching(channel, token(1)).read()).snapshot

    asyncio.run(check())


def test_a_key_of_another_certificate_is_an_error(tmp_path: Path) -> None:
    mixed = {**certificate(tmp_path), "tls_key": certificate(tmp_path, "other")["tls_key"]}
    assert "are not a certificate and its key" in misconfigured(settings(**mixed))


@pytest.mark.parametrize("which", ["port", "grpc_port"])
def test_a_taken_port_is_an_error_of_one_line(which: str) -> None:
    async def check() -> str:
        async with listening(settings()) as first:
            taken = int((first.page.rstrip("/") if which == "port" else first.grpc).rpartition(":")[2])
            with pytest.raises(MisconfiguredError) as caught:
                async with listening(settings(**{which: taken})):
                    """Not reached."""
            return str(caught.value)

    message = asyncio.run(check())
    assert "port" in message
    assert "\n" not in message


def test_health_and_reflection_are_served_and_health_ends_before_the_streams() -> None:
    async def check() -> None:
        serving, ending = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        async with (
            listening(settings(drain_lead_seconds=1.0)) as listeners,
            grpc.aio.insecure_channel(listeners.grpc) as channel,
        ):
            health = health_pb2_grpc.HealthStub(channel)
            for service in ("", "switchboard.v1.Supervisor", "switchboard.v1.Analytics"):
                assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == serving
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            found = [
                answer
                async for answer in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
                    iter([ask])
                )
            ]
            names = {service.name for service in found[0].list_services_response.service}
            assert {"switchboard.v1.Supervisor", "switchboard.v1.Analytics", "grpc.health.v1.Health"} <= names
            watch = health.Watch(health_pb2.HealthCheckRequest(service="switchboard.v1.Supervisor"))
            assert (await watch.read()).status == serving
            call = watching(channel, token(1))
            assert (await call.read()).snapshot
            stopping = asyncio.create_task(listeners.stop())
            assert (await watch.read()).status == ending
            assert not call.done()
            assert await code_of(call) == (
                grpc.StatusCode.UNAVAILABLE,
                "the server is shutting down; reconnect",
            )
            await stopping

    asyncio.run(check())


def test_a_deadline_ends_a_stream_and_leaves_nothing_behind() -> None:
    hub = Hub(State())

    async def check() -> None:
        async with (
            listening(settings(), hub) as listeners,
            grpc.aio.insecure_channel(listeners.grpc) as channel,
        ):
            assert (await code_of(watching(channel, token(1), limit=0.5)))[
                0
            ] == grpc.StatusCode.DEADLINE_EXCEEDED
            await no_watchers(hub)
            browser = await Browser.opened(
                listeners.page,
                "Supervisor/Watch",
                pb.WatchRequest(),
                token(1),
                **{"Connect-Timeout-Ms": "500", "Connect-Protocol-Version": "1"},
            )
            assert (await browser.error())["code"] == "deadline_exceeded"
            await browser.close()
            await no_watchers(hub)

    asyncio.run(check())


async def no_watchers(hub: Hub) -> None:
    async with asyncio.timeout(30):
        while hub.watchers:
            await asyncio.sleep(0.01)


def test_a_thousand_streams_are_served_and_those_above_the_limit_refused() -> None:
    hub = Hub(State())

    async def check() -> None:
        async with (
            listening(settings(max_streams=STREAMS), hub) as listeners,
            grpc.aio.insecure_channel(listeners.grpc) as channel,
        ):
            calls = [watching(channel, token(number)) for number in range(STREAMS)]
            assert all([(await call.read()).snapshot for call in calls])
            assert hub.watchers == STREAMS
            assert (await code_of(watching(channel, token(1))))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
            for call in calls:
                call.cancel()
            await no_watchers(hub)

    asyncio.run(check())


def test_a_request_that_is_too_large_is_refused_before_its_token_is_checked() -> None:
    async def check() -> None:
        async with listening(settings()) as listeners:
            url, large = (
                f"{listeners.page}switchboard.v1.Supervisor/Acknowledge",
                {"alertId": "x" * (65 << 10)},
            )
            answer = await asyncio.to_thread(lambda: requests.post(url, json=large, timeout=10))
            assert answer.json()["code"] == "resource_exhausted"
            async with grpc.aio.insecure_channel(listeners.grpc) as channel:
                request = pb.QueryRequest(name="x" * (65 << 10))
                call = stream(channel, "Analytics/Query", request, "", pb.QueryResponse)
                assert (await code_of(call))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(check())


class Broken(Hub):
    def sees_agent(self, caller: Caller, agent: int) -> bool:
        raise RuntimeError("a secret")


class Seeing(Hub):
    def sees_agent(self, caller: Caller, agent: int) -> bool:
        return True


@pytest.mark.parametrize(
    ("hub", "code", "message", "reason"),
    [
        (Broken, "internal", "internal error; see the server's log", "a secret"),
        (
            Seeing,
            "unavailable",
            "a server that this call needs does not answer; retry",
            "ClickHouse at 127.0.0.1:9",
        ),
    ],
)
def test_the_cause_of_a_failure_is_only_in_the_log(
    hub: type[Hub], code: str, message: str, reason: str
) -> None:
    bearer = token(7)

    async def check() -> None:
        async with (
            listening(settings(), hub(State())) as listeners,
            grpc.aio.insecure_channel(listeners.grpc) as channel,
        ):
            url, headers = f"{listeners.page}switchboard.v1.Supervisor/Timeline", {"Authorization": bearer}
            answer = await asyncio.to_thread(
                lambda: requests.post(url, json={"agentId": 1}, headers=headers, timeout=30)
            )
            assert answer.json() == {"code": code, "message": message}
            method = channel.unary_unary(
                "/switchboard.v1.Supervisor/Timeline",
                pb.TimelineRequest.SerializeToString,
                pb.TimelineResponse.FromString,
            )
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(pb.TimelineRequest(agent_id=1), metadata=(("authorization", bearer),))
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode[code.upper()], message)

    with capture_logs() as logs:
        asyncio.run(check())
    lines = [line for line in logs if line["event"] == "call failed"]
    assert [(line["method"], line["tenant"], line["code"]) for line in lines] == [("Timeline", 7, code)] * 2
    assert all(reason in line["reason"] and "Traceback" in line["trace"] for line in lines)
    assert bearer.split()[1] not in str(logs)


@pytest.mark.parametrize("transport", ["gRPC", "Connect"])
def test_a_refusal_is_logged_once_without_the_token(transport: str) -> None:
    bearer = token(1) + "forged"

    async def check() -> None:
        async with listening(settings()) as listeners, grpc.aio.insecure_channel(listeners.grpc) as channel:
            if transport == "gRPC":
                assert (await code_of(watching(channel, bearer)))[0] == grpc.StatusCode.UNAUTHENTICATED
            else:
                browser = await Browser.opened(listeners.page, "Supervisor/Watch", pb.WatchRequest(), bearer)
                assert (await browser.error())["code"] == "unauthenticated"
                await browser.close()

    with capture_logs() as logs:
        asyncio.run(check())
    (line,) = (line for line in logs if line["event"] == "call refused")
    assert (line["method"], line["code"], line["tenant"]) == ("Watch", "unauthenticated", None)
    assert "127.0.0.1" in line["peer"]
    assert bearer.split()[1] not in str(logs)


@asynccontextmanager
async def dying() -> AsyncIterator[ClickHouseEndpoint]:
    """A server that sends the first bytes of a result and closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nArrow\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield NOWHERE.model_copy(update={"http_port": server.sockets[0].getsockname()[1]})


@asynccontextmanager
async def unavailable() -> AsyncIterator[ClickHouseEndpoint]:
    yield NOWHERE


@pytest.mark.parametrize(
    ("clickhouse", "first", "message"),
    [
        (dying, b"Arrow", "the query ended before its last row; retry"),
        (unavailable, b"", "ClickHouse does not answer; retry"),
    ],
)
def test_a_query_that_clickhouse_breaks_off_or_cannot_take_is_an_error_and_releases_its_slot(
    clickhouse: Any, first: bytes, message: str
) -> None:
    async def check() -> None:
        chosen = settings(max_queries=1)
        async with clickhouse() as endpoint:
            analytics = Analytics(endpoint, Catalog(()), chosen)
            analytics._queries = {"some.rows": Query("text", "text", "somewhere", None, "", {})}
            async with (
                listening(chosen, analytics=analytics) as listeners,
                grpc.aio.insecure_channel(listeners.grpc) as channel,
            ):
                bearer = token(1, scope="analytics")
                for _ in range(2):
                    call = stream(
                        channel,
                        "Analytics/Query",
                        pb.QueryRequest(name="some.rows"),
                        bearer,
                        pb.QueryResponse,
                    )
                    if first:
                        assert (await call.read()).chunk == first
                    assert await code_of(call) == (grpc.StatusCode.UNAVAILABLE, message)
                    await asyncio.gather(*analytics._ending)

    asyncio.run(check())
