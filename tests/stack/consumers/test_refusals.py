"""A lander stops, loudly and in one line, where going on could lose or misorder rows."""

from __future__ import annotations

import pytest
from confluent_kafka.cimpl import NewTopic
from pydantic import SecretStr

from consumers.generations import bind, bound
from core.clients import clickhouse, mysql
from core.clients.kafka import admin
from core.clients.topic_identity import TopicDescriber, TopicIdentity
from core.errors import MisconfiguredError, StoppedError, TransientError
from tests.conftest import Space
from tests.pipeline import Pipeline, eventually


def test_a_recreated_topic_is_another_generation(pipeline: Pipeline, space: Space) -> None:
    topic = space.name("cdc.again")
    client, describer = admin(pipeline.endpoints.kafka), TopicDescriber(pipeline.endpoints.kafka)

    def make() -> TopicIdentity:
        client.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])[topic].result(30)
        found: TopicIdentity = eventually(lambda: describer.identity(topic))
        return found

    first = make()
    assert bind(pipeline.control, topic, first) == 1
    assert bind(pipeline.control, topic, first) == bound(pipeline.control, topic, first) == 1
    client.delete_topics([topic])[topic].result(30)
    eventually(lambda: describer.identity(topic) is None)
    second = make()
    with pytest.raises(StoppedError, match="was recreated"):
        bound(pipeline.control, topic, second)
    assert bind(pipeline.control, topic, second) == 2
    with pytest.raises(StoppedError, match="9 partitions, 2 when it was bound"):
        bound(pipeline.control, topic, TopicIdentity(second.cluster_id, second.topic_id, 9))


def test_a_wrong_password_is_one_line_with_its_remedy(pipeline: Pipeline) -> None:
    server = pipeline.endpoints.mysql[0].model_copy(update={"password": SecretStr("wrong")})
    with pytest.raises(MisconfiguredError, match="refused user 'switchboard'") as caught:
        mysql.rows(server, "SELECT 1")
    assert "password" in caught.value.remedy
    endpoint = pipeline.endpoints.clickhouse.model_copy(update={"password": SecretStr("wrong")})
    with pytest.raises(MisconfiguredError, match="refused user 'switchboard'"):
        clickhouse.connect(endpoint)


def test_a_server_that_is_away_is_one_line(pipeline: Pipeline) -> None:
    server = pipeline.endpoints.mysql[0].model_copy(update={"port": 1})
    with pytest.raises(TransientError, match="does not answer"):
        mysql.rows(server, "SELECT 1")
    endpoint = pipeline.endpoints.clickhouse.model_copy(update={"http_port": 1})
    with pytest.raises(TransientError, match="does not answer"):
        clickhouse.connect(endpoint)
