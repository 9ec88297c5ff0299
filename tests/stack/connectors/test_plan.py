"""Plan shows what would change; apply makes it so, once."""

from __future__ import annotations

import pytest

from connectors.rest import KafkaConnect
from core.errors import MisconfiguredError, RefusedError
from core.settings import TopicSettings
from schemas import types as t
from schemas.catalog import Catalog
from schemas.render.connect import connector_name
from schemas.table import Column, Table
from switchboard.plan import plan as planning
from tests.pipeline import Pipeline


def with_column(pipeline: Pipeline, table: str, name: str, kind: t.Type) -> Catalog:
    """The catalog with one column's type changed."""
    old = pipeline.catalog[table]
    columns = tuple(
        Column(c.id, c.name, kind if c.name == name else c.type, c.privacy, c.nullable, c.immutable)
        for c in old.columns
    )
    new = Table(**{**vars(old), "columns": columns})
    return Catalog(tuple(new if item.name == table else item for item in pipeline.catalog))


def targets(pipeline: Pipeline, catalog: Catalog) -> list[planning.Planner]:
    return planning.make_planners(pipeline.endpoints, pipeline.settings, catalog, pipeline.control)


def test_an_applied_catalog_has_nothing_to_do(pipeline: Pipeline) -> None:
    pipeline.apply()
    assert planning.plan(targets(pipeline, pipeline.catalog)) == []


def test_a_wider_column_is_a_change_and_a_narrower_one_is_refused(pipeline: Pipeline) -> None:
    narrowed = targets(pipeline, with_column(pipeline, "surveys", "interaction_id", t.UInt(16)))
    steps = [step for step in planning.plan(narrowed) if step.target == "clickhouse"]
    assert [(step.subject, step.destructive) for step in steps] == [("surveys", True)]
    with pytest.raises(RefusedError, match="clickhouse:surveys") as caught:
        planning.apply(narrowed, frozenset(), lambda step: None)
    assert "--allow clickhouse:surveys" in caught.value.remedy
    widened = planning.plan(targets(pipeline, with_column(pipeline, "surveys", "score", t.Int(32))))
    assert [(step.subject, step.destructive) for step in widened] == [("surveys", False)]


def test_connect_refuses_a_wrong_setting_in_one_line(pipeline: Pipeline) -> None:
    connect = KafkaConnect(pipeline.endpoints.connect)
    config = {**(connect.config(connector_name("main")) or {}), "database.port": "1"}
    with pytest.raises(MisconfiguredError) as caught:
        connect.put(connector_name("main"), config)
    assert "\n" not in str(caught.value)
    assert "onnect" in str(caught.value)


def test_fewer_partitions_are_refused(pipeline: Pipeline) -> None:
    settings = pipeline.settings.model_copy(update={"topics": TopicSettings(partitions=2)})
    fewer = planning.make_planners(pipeline.endpoints, settings, pipeline.catalog, pipeline.control)
    with pytest.raises(RefusedError, match="would lose data") as refused:
        planning.apply(fewer, frozenset(), lambda step: None)
    assert "--allow topics:cdc.interactions" in refused.value.remedy
