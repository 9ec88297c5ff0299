"""Commands that know of the servers what SWITCHBOARD_ENDPOINTS tells them, and nothing of a local stack: as
with docker-compose.yml."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.capture_service import CaptureService
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually, make_pipeline
from tests.stack.conftest import Servers, logs_only
from tests.stack.consumers.test_landing import HIGH, LOW, make_types


@pytest.fixture
def elsewhere(servers: Servers) -> Iterator[Pipeline]:
    created = make_pipeline(logs_only("elsewhere"), servers.endpoints)
    yield created
    created.control.close()
    created.clickhouse.close()


def test_rows_from_before_and_after_land_and_are_equal(elsewhere: Pipeline, space: Space) -> None:
    shard = space.name("types")
    make_types(elsewhere, shard)
    elsewhere.sql(HIGH, 1, database=shard)
    assert elsewhere.command("apply").returncode == 0
    with elsewhere.lander(), elsewhere.watch():
        elsewhere.sql(LOW, 2, database=shard)
        assert (
            CaptureService(elsewhere.endpoints, elsewhere.catalog, elsewhere.control).wait_snapshots(
                limit=120
            )
            == []
        )
        eventually(lambda: elsewhere.equal("every_type", shards=(shard,)))
