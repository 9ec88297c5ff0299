"""Endpoints at which nothing runs, for tests that only need their values."""

from __future__ import annotations

from pydantic import SecretStr

from core.settings import (
    ClickHouseEndpoint,
    ConnectEndpoint,
    Endpoints,
    KafkaEndpoint,
    MySqlServer,
    RegistryEndpoint,
)

SERVER = MySqlServer(name="main", host="db", port=1, user="u", password=SecretStr("never"))
ENDPOINTS = Endpoints(
    mysql=(SERVER,),
    kafka=KafkaEndpoint(bootstrap="kafka:9092"),
    registry=RegistryEndpoint(url="http://registry"),
    connect=ConnectEndpoint(url="http://connect"),
    clickhouse=ClickHouseEndpoint(host="ch", http_port=1, tcp_port=2, user="u", password=SecretStr("x")),
)
