"""What a token may ask, and with which values, is settled before ClickHouse hears of it."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from core.settings import ClickHouseEndpoint, StreamerSettings
from schemas.catalog import load
from streamer.analytics import Analytics, Places
from streamer.auth import Caller
from streamer.refusals import RefusalError

NOWHERE = ClickHouseEndpoint(host="127.0.0.1", http_port=9, tcp_port=9, user="nobody", password=SecretStr(""))
DAY = {"from": "2026-11-01", "until": "2026-11-02"}


def refusal(
    name: str, parameters: dict[str, str], scopes: tuple[str, ...] = ("analytics",), teams: tuple[int, ...] | None = None
) -> RefusalError:
    caller = Caller("ada", 7, None if teams is None else frozenset(teams), 1e12, frozenset(scopes))

    async def ask() -> None:
        analytics = Analytics(NOWHERE, load("schemas.contracts"), StreamerSettings())
        try:
            async for _ in analytics.query(caller, name, parameters):
                pass
        finally:
            await analytics.close()

    with pytest.raises(RefusalError) as caught:
        asyncio.run(ask())
    return caught.value


def test_a_token_without_the_scope_asks_nothing() -> None:
    refused = refusal("teams.rows", {}, scopes=("personal", "Analytics", "analytics2"))
    assert (refused.code, str(refused)) == ("permission_denied", "the token's scope does not hold 'analytics'")


@pytest.mark.parametrize("name", ["surveys.rows", "queues.rows", "accounts.rows"])
def test_a_token_of_some_teams_is_not_shown_what_is_of_no_team(name: str) -> None:
    assert refusal(name, {}, teams=(1,)).code == "permission_denied"
    assert refusal(name, {}, teams=()).code == "permission_denied"


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "1 OR 1=1", ""])
def test_a_value_that_is_no_time_is_told(value: str) -> None:
    refused = refusal("interactions.rows", DAY | {"from": value})
    assert (refused.code, f"parameter 'from' is {value!r}; it has to be" in str(refused)) == ("invalid_argument", True)


def test_places_are_given_back() -> None:
    places = Places(2, 1)
    places.take(1)
    with pytest.raises(RefusalError, match="of this tenant"):
        places.take(1)
    places.take(2)
    with pytest.raises(RefusalError, match="as many queries as it may"):
        places.take(3)
    places.give(1)
    places.take(3)
