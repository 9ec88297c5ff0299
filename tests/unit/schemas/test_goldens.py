"""What people review, whole: run with ``UPDATE_GOLDENS=1`` to write it anew, then read the difference."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from core.settings import KafkaEndpoint, MySqlServer, RegistryEndpoint
from schemas.catalog import load
from schemas.render import clickhouse, connect, landing
from tests.golden import GOLDEN, reviewed

SERVER = MySqlServer(
    name="main",
    host="db",
    port=3306,
    user="switchboard",
    password=SecretStr("never shown"),
    connect_password="${env:SWITCHBOARD_MYSQL_MAIN_CDC_PASSWORD}",
)


def envelope() -> dict[str, Any]:
    return dict(json.loads((GOLDEN / "interactions.envelope.avsc").read_text()))


def rendered() -> dict[str, str]:
    catalog = load("schemas.contracts")
    table = catalog["interactions"]
    config = connect.source_config(
        catalog, SERVER, RegistryEndpoint(url="http://registry"), KafkaEndpoint(bootstrap="kafka:9092")
    )
    return {
        "interactions.clickhouse.sql": clickhouse.create_storage_table(table)
        + ";\n\n"
        + clickhouse.create_current_view(table)
        + ";\n",
        "interactions.landing.sql": landing.landing_query(table, envelope(), generation=1) + "\n",
        "main.connect.json": json.dumps(config, indent=1) + "\n",
    }


@pytest.mark.parametrize(
    "name", ["interactions.clickhouse.sql", "interactions.landing.sql", "main.connect.json"]
)
def test_what_is_rendered_is_what_was_reviewed(name: str) -> None:
    text = rendered()[name]
    assert text == reviewed(name, text)


def test_no_password_is_rendered() -> None:
    assert all("never shown" not in text for text in rendered().values())
