"""Generations of topics: each identity (cluster id, topic id) is bound to a generation in the control
database."""

from __future__ import annotations

from sqlalchemy import func, select

from core.clients.topic_identity import TopicDescriber, TopicIdentity
from core.control import ControlDatabase
from core.control.models import TopicGeneration
from core.errors import StoppedError, TransientError
from core.waiting import wait_until

VISIBLE_SECONDS = 30.0


def identity(describer: TopicDescriber, topic: str) -> TopicIdentity:
    """Returns the topic's identity.

    Blocks as `identities`; raises TransientError if Kafka does not know it (yet).
    """
    found = describer.identity(topic)
    if found is None:
        raise TransientError(f"topic {topic} is not visible yet", "run `switchboard apply` again")
    return found


def await_topic(describer: TopicDescriber, topic: str, *, exists: bool) -> None:
    """Blocks until the topic is visible, or is no longer; raises TransientError after about 30 s."""
    if not wait_until(lambda: (describer.identity(topic) is not None) is exists, VISIBLE_SECONDS):
        what = "created but is not visible yet" if exists else "deleted but is still visible"
        raise TransientError(f"topic {topic} was {what}", "run `switchboard apply` again")


def bind(control: ControlDatabase, topic: str, identity: TopicIdentity) -> int:
    """Returns the topic's generation, the next one for a new identity.

    Idempotent; blocks on the control database.
    """
    with control.session() as session:
        known = lookup(control, topic, identity)
        if known is not None:
            return known.generation
        newest = (
            session.scalar(select(func.max(TopicGeneration.generation)).where(TopicGeneration.topic == topic))
            or 0
        )
        session.add(
            TopicGeneration(
                topic=topic,
                generation=newest + 1,
                cluster_id=identity.cluster_id,
                topic_id=identity.topic_id,
                partitions=identity.partitions,
            )
        )
        return int(newest) + 1


def bound(control: ControlDatabase, topic: str, identity: TopicIdentity) -> int:
    """Returns the topic's generation.

    Raises StoppedError if this identity is not bound, or its number of partitions changed.
    """
    known = lookup(control, topic, identity)
    if known is None:
        raise StoppedError(
            f"topic {topic} was recreated (id {identity.topic_id}): its offsets would order wrongly",
            "run `switchboard apply`, which starts its next generation and snapshots the table",
        )
    if known.partitions != identity.partitions:
        raise StoppedError(
            f"topic {topic} has {identity.partitions} partitions, {known.partitions} when it was bound",
            "keys have moved between partitions: recreate the topic, then run `switchboard apply`",
        )
    return known.generation


def lookup(control: ControlDatabase, topic: str, identity: TopicIdentity) -> TopicGeneration | None:
    with control.session() as session:
        return session.scalar(
            select(TopicGeneration).where(
                TopicGeneration.topic == topic,
                TopicGeneration.cluster_id == identity.cluster_id,
                TopicGeneration.topic_id == identity.topic_id,
            )
        )


def newest(control: ControlDatabase) -> dict[str, int]:
    """Returns the newest bound generation of each topic. Blocks on the control database."""
    with control.session() as session:
        query = select(TopicGeneration.topic, func.max(TopicGeneration.generation)).group_by(
            TopicGeneration.topic
        )
        return {topic: int(number) for topic, number in session.execute(query)}
