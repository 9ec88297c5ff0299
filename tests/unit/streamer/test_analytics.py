"""What a token may ask, and with which values, is settled before ClickHouse hears of it."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from core.settings import ClickHouseEndpoint, StreamerSettings
from schemas.catalog import load
from streamer.analytics import Analytics, QuerySlots
from streamer.auth import Caller
from streamer.rpc_errors import RpcError

NOWHERE = ClickHouseEndpoint(host="127.0.0.1", http_port=9, tcp_port=9, user="nobody", password=SecretStr(""))
DAY = {"from": "2026-11-01", "until": "2026-11-02"}


def refusal(
    name: str,
    parameters: dict[str, str],
    scopes: tuple[str, ...] = ("analytics",),
    teams: tuple[int, ...] | None = None,
) -> RpcError:
    caller = Caller("ada", 7, None if teams is None else frozenset(teams), 1e12, frozenset(scopes))

    async def ask() -> None:
        analytics = Analytics(NOWHERE, load("schemas.contracts"), StreamerSettings())
        try:
            async for _ in analytics.query(caller, name, parameters):
                pass
        finally:
            await analytics.close()

    with pytest.raises(RpcError) as caught:
        asyncio.run(ask())
    return caught.value


def test_a_token_without_the_scope_is_refused() -> None:
    error = refusal("teams.rows", {}, scopes=("personal", "Analytics", "analytics2"))
    assert (error.code, str(error)) == ("permission_denied", "the token's scope does not include 'analytics'")


@pytest.mark.parametrize("name", ["surveys.rows", "queues.rows", "accounts.rows"])
def test_a_token_limited_to_teams_is_refused_queries_without_a_team(name: str) -> None:
    assert refusal(name, {}, teams=(1,)).code == "permission_denied"
    assert refusal(name, {}, teams=()).code == "permission_denied"


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "1 OR 1=1", ""]
)
def test_a_value_that_is_not_a_time_is_refused(value: str) -> None:
    error = refusal("interactions.rows", DAY | {"from": value})
    assert (error.code, f"parameter 'from' is {value!r}; it must be" in str(error)) == (
        "invalid_argument",
        True,
    )


def test_slots_are_released() -> None:
    slots = QuerySlots(2, 1)
    slots.acquire(1)
    with pytest.raises(RpcError, match="of a tenant"):
        slots.acquire(1)
    slots.acquire(2)
    with pytest.raises(RpcError, match="limit of concurrent queries"):
        slots.acquire(3)
    slots.release(1)
    slots.acquire(3)
