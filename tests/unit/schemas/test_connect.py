"""The connector's config: which tables it takes in, and what the pipeline's guarantees ask of it."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr

from core.settings import KafkaEndpoint, MySqlServer, RegistryEndpoint
from schemas import privacy as p
from schemas import types as t
from schemas.catalog import Catalog
from schemas.render.connect import connector_name, internal_topics, signal_topic, source_config
from schemas.table import Latest, Metadata, Shards, Table, immutable, optional


def table(name: str, source: Shards | Metadata, *, keyless: bool = False) -> Table:
    columns = (immutable(1, "id", t.Int(), p.PUBLIC), optional(2, "a b", t.Text(), p.PUBLIC))
    key = ("id", "a b") if keyless else ("id",)
    return Table(
        name=name, source=source, key=key, history=Latest(), columns=columns, keyed_by_all_columns=keyless
    )


def config(
    *tables: Table, server: str = "main", excluded_databases: tuple[str, ...] = (), **more: float
) -> dict[str, str]:
    named = {
        "name": server,
        "host": "db",
        "port": 3306,
        "user": "u",
        "password": SecretStr("never"),
        "connect_password": "${env:PW}",
    }
    host = MySqlServer.model_validate(named | more)
    registry, kafka = RegistryEndpoint(url="http://registry"), KafkaEndpoint(bootstrap="kafka:9092")
    return source_config(Catalog(tables), host, registry, kafka, excluded_databases=excluded_databases)


def taken(item: str, *tables: Table, setting: str = "table.include.list") -> bool:
    """As Debezium matches: whole, and in letters of either case unless the pattern says otherwise (Java's
    ``(?-i)``)."""
    patterns = config(*tables)[setting].split(",")
    assert all(pattern.startswith("(?-i)") for pattern in patterns)
    return any(re.fullmatch(pattern.removeprefix("(?-i)"), item) for pattern in patterns)


@pytest.mark.parametrize("database", ["acc_1", "acc_2", "acc_made_next_year"])
def test_every_present_and_future_shard_is_taken(database: str) -> None:
    calls = table("calls", Shards("acc_*"))
    assert taken(database, calls, setting="database.include.list")
    assert taken(f"{database}.calls", calls)


@pytest.mark.parametrize(
    ("database", "read"),
    [("acc_1", False), ("acc_10", True), ("xacc_1", False), ("odd,(name", False), ("oddname", True)],
)
def test_an_excluded_shard_is_not_captured_and_its_neighbours_are(database: str, read: bool) -> None:
    sources = (table("calls", Shards("acc_*")), table("agents", Shards("odd*")))
    (rendered,) = [config(*sources, excluded_databases=("acc_1", "odd,(name"))["database.include.list"]]
    patterns = [pattern.removeprefix("(?-i)").replace("\\x2c", ",") for pattern in rendered.split(",")]
    assert any(re.fullmatch(pattern, database) for pattern in patterns) is read


@pytest.mark.parametrize(
    "item",
    [
        "acc_1.calls_old",
        "acc_1.x.calls",
        "xacc_1.calls",
        "acc_1.xcalls",
        "metadata.calls",
        "acc_1.agents",
        "ACC_1.calls",
    ],
)
def test_nothing_else_is_taken(item: str) -> None:
    assert not taken(item, table("calls", Shards("acc_*")), table("agents", Metadata("metadata")))


@pytest.mark.parametrize("name", ["a.b", "a b", "a,b", "a(b", "a+b", "[ab]", "a\\b", "a|b", "ü"])
def test_a_name_of_any_characters_is_taken_literally(name: str) -> None:
    odd = table(name, Metadata("metadata"))
    assert taken(f"metadata.{name}", odd)
    assert not taken("metadata.ab", odd)
    assert not taken("metadata.a", odd)


def test_every_record_is_keyed_by_its_contract_whatever_key_the_source_has() -> None:
    tables = (table("calls", Shards("acc_*")), table("log", Shards("acc_?"), keyless=True))
    assert config(*tables)["message.key.columns"] == r"acc_[^.]*\.calls:id;acc_[^.]\.log:id,a\x20b"


@pytest.mark.parametrize("name", ["a,b", "a;b", "a:b", " a ", "a.b", "a\\ b"])
def test_a_key_s_column_of_any_name_is_found(name: str) -> None:
    """As Debezium cuts the setting."""
    odd = Table(
        name=name,
        source=Metadata("crm"),
        key=(name,),
        history=Latest(),
        columns=(immutable(1, name, t.Int(), p.PUBLIC),),
    )
    (item,) = config(odd)["message.key.columns"].split(";")
    table_pattern, column_pattern = item.split(":")
    (only,) = column_pattern.split(",")
    assert re.fullmatch(f"{table_pattern}.{only.strip()}", f"crm.{name}.{name}")


def test_a_server_s_id_stays_and_differs_from_another_s() -> None:
    calls = table("calls", Shards("acc_*"))
    ids = [config(calls, server=name)["database.server.id"] for name in ("main", "main", "second")]
    assert ids[0] == ids[1] != ids[2]
    assert all(0 < int(number) < 2**32 for number in ids)


def test_every_topic_that_the_config_names_is_created_beforehand() -> None:
    settings = config(table("calls", Shards("acc_*")))
    created = internal_topics("main")
    for name in (
        "signal.kafka.topic",
        "notification.sink.topic.name",
        "schema.history.internal.kafka.topic",
        "topic.prefix",
    ):
        assert settings[name] in created
    assert signal_topic("main") in created
    assert created[settings["schema.history.internal.kafka.topic"]]["retention.ms"] == "-1"


def test_what_debezium_would_lose_by_default_is_asked_for() -> None:
    wanted = {
        "snapshot.mode": "no_data",
        "read.only": "true",
        "skipped.operations": "none",
        "event.converting.failure.handling.mode": "fail",
        "schema.history.internal.skip.unparseable.ddl": "false",
        "exactly.once.support": "required",
        "tombstones.on.delete": "false",
        "heartbeat.interval.ms": "1000",
        "key.converter.schemas.enable": "false",
        "key.converter.replace.null.with.default": "false",
    }
    assert wanted.items() <= config(table("calls", Shards("acc_*"))).items()


def test_how_much_a_snapshot_reads_at_once_is_the_server_s_setting() -> None:
    assert (
        config(table("calls", Shards("acc_*")), snapshot_chunk_rows=500)["incremental.snapshot.chunk.size"]
        == "500"
    )


def test_how_often_a_quiet_server_speaks_is_the_server_s_setting() -> None:
    assert (
        config(table("calls", Shards("acc_*")), keep_alive_seconds=2.5)["connect.keep.alive.interval.ms"]
        == "2500"
    )


def test_the_password_is_named_and_never_shown() -> None:
    settings = config(table("calls", Shards("acc_*")))
    assert settings["database.password"] == "${env:PW}"
    assert "never" not in str(settings)
    assert connector_name("main") == "mysql-main"
