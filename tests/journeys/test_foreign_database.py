"""A database that nobody here has seen goes through import, apply, random changes and ALTERs under load; the
copies are equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.capture_service import CaptureService
from schemas.catalog import load
from switchboard import stack as local_stack
from tests.conftest import empty_stack
from tests.journeys.application import Application
from tests.pipeline import Pipeline, make_pipeline

DATABASE = "tele-shop"
SCHEMA = (
    """CREATE TABLE `order-lines` (
        tenant SMALLINT UNSIGNED NOT NULL, order_no BIGINT UNSIGNED NOT NULL, line TINYINT NOT NULL,
        sku VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL DEFAULT 'none',
        qty DECIMAL(12, 3) NOT NULL DEFAULT 1.000,
        `unit price` DOUBLE NULL DEFAULT 9.5, twice DECIMAL(14, 3) GENERATED ALWAYS AS (qty * 2) STORED,
        thrice DECIMAL(14, 3) GENERATED ALWAYS AS (qty * 3) VIRTUAL, note TEXT,
        changed TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
        PRIMARY KEY (tenant, order_no, line))""",
    """CREATE TABLE Kunden (
        `Kürzel` VARCHAR(30) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, `Name` VARCHAR(100) NOT NULL DEFAULT '',
        daten JSON,
        `e-mail` VARCHAR(60) NULL DEFAULT 'none', born DATE, rating FLOAT, region CHAR(3))""",
    """CREATE TABLE devices (
        uuid BINARY(16) PRIMARY KEY, seen DATETIME(6) NOT NULL, flags SET('a', 'b'''),
        state ENUM('new', 'o''ld') NULL DEFAULT 'new',
        bits BIT(12), firmware BLOB, uptime TIME(2), built YEAR, place POINT, meaning VECTOR(3))""",
    """CREATE TABLE slots (
        starts DATETIME(3), seat SMALLINT, taken TINYINT(1) NOT NULL DEFAULT 0, price DECIMAL(65, 30),
        PRIMARY KEY (starts, seat))""",
    "CREATE TABLE `order` (`group` MEDIUMINT AUTO_INCREMENT PRIMARY KEY, `select` VARCHAR(20), `from` "
    "BIGINT NOT NULL)",
    "CREATE TABLE journal (at DATETIME(6) NOT NULL, what VARBINARY(60) NOT NULL, amount BIGINT)",
    "CREATE TABLE nothing (id INT PRIMARY KEY, what TEXT)",
    "CREATE TABLE wide (id INT PRIMARY KEY, "
    f"{', '.join(f'amount_{number} DECIMAL(10, 2)' for number in range(999))})",
    "INSERT INTO wide (id, amount_7) VALUES (1, 7.5)",
    "CREATE VIEW big AS SELECT * FROM `order-lines` WHERE qty > 100",
)
ALTERS = (
    "ALTER TABLE `order-lines` ADD COLUMN channel VARCHAR(10) NOT NULL DEFAULT 'web'",
    "ALTER TABLE `order-lines` ADD COLUMN agent INT NULL DEFAULT 5, ALGORITHM = INSTANT",
    "ALTER TABLE Kunden RENAME COLUMN `Name` TO `Full Name`",
    "ALTER TABLE Kunden MODIFY `e-mail` VARCHAR(200) NULL DEFAULT 'nobody'",
    "ALTER TABLE devices MODIFY state ENUM('new', 'o''ld', 'dead') NULL",
    "ALTER TABLE devices ADD INDEX (seen)",
    "ALTER TABLE slots DROP COLUMN price",
    "ALTER TABLE `order` MODIFY `select` TEXT, ADD COLUMN first_one INT FIRST",
    "ALTER TABLE `order` MODIFY `group` INT AUTO_INCREMENT",
)


@pytest.fixture(scope="module")
def shop(worker_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    home = empty_stack(worker_home)
    endpoints = local_stack.endpoints(home)
    created = replace(make_pipeline(home, endpoints), contracts=tmp_path_factory.mktemp("contracts"))
    created.sql(f"CREATE DATABASE `{DATABASE}`")
    for statement in SCHEMA:
        created.sql(statement, database=DATABASE)
    return created


def run(pipeline: Pipeline, *words: str) -> str:
    done = pipeline.command(*words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def apply(pipeline: Pipeline, planner: str) -> None:
    """Allows by name what the first try says would lose data of that room."""
    tried = pipeline.command("apply")
    if tried.returncode:
        run(
            pipeline,
            "apply",
            *(
                word
                for line in tried.stdout.split()
                if line.startswith(f"{planner}:")
                for word in ("--allow", line)
            ),
        )


def describe(pipeline: Pipeline, *more: str) -> str:
    server = pipeline.endpoints.mysql[0]
    url = f"mysql://{server.user}:{server.password.get_secret_value()}@{server.host}:{server.port}"
    return run(
        pipeline,
        "contracts",
        "import",
        url,
        DATABASE,
        "--into",
        str(pipeline.contracts),
        "--keyless",
        "all-columns",
        *more,
    )


def test_it_is_copied_and_followed_until_the_copies_are_equal(shop: Pipeline) -> None:
    application = Application(shop.endpoints.mysql[0], DATABASE, quiet=("nothing", "wide"))
    with application.running():
        application.changes(1000)

    assert "big is a view and is skipped" in describe(shop)
    assert "+ topics cdc.journal" in run(shop, "plan")
    with application.running(), shop.watch():
        apply(shop, "connect")
        with shop.lander():
            application.changes(1000)
            for alter in ALTERS:
                shop.sql(alter, database=DATABASE)
                application.changes(100)

        describe(shop, "--replace")
        assert shop.command("apply").returncode == 1
        apply(shop, "clickhouse")
        with shop.lander():
            application.changes(500)

    assert all(application.done[kind] for kind in ("insert", "update", "delete"))
    with shop.lander(), shop.watch():
        catalog = load(str(shop.contracts))
        assert CaptureService(shop.endpoints, catalog, shop.control).wait_snapshots(limit=120) == []
        run(shop, "dlq", "replay")
        verified = run(shop, "verify")
    assert "equal" in verified
    assert run(shop, "plan")
