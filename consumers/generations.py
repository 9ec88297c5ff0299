"""Which making of a topic this is: (cluster id, topic id) bound to a generation in the control database."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from core.clients.topic_identity import TopicDescriber, TopicIdentity
from core.control import ControlDatabase
from core.control.models import TopicGeneration
from core.errors import StoppedError, TransientError

SEEN_SECONDS = 30.0


def identity(describer: TopicDescriber, topic: str) -> TopicIdentity:
    """Raises TransientError if Kafka does not know the topic (yet), or does not answer. Blocks as `identities` does."""
    found = describer.identity(topic)
    if found is None:
        raise TransientError(f"topic {topic} is not seen", "run `switchboard apply` again")
    return found


def await_topic(describer: TopicDescriber, topic: str, *, stands: bool) -> None:
    """Blocks until the topic is seen to stand, or to be gone; raises TransientError after some 30 s."""
    deadline = time.monotonic() + SEEN_SECONDS
    while (describer.identity(topic) is not None) is not stands:
        if time.monotonic() > deadline:
            what = f"topic {topic} was made but is not seen yet" if stands else f"topic {topic} was deleted but is still seen"
            raise TransientError(what, "run `switchboard apply` again")
        time.sleep(0.1)


def bind(control: ControlDatabase, topic: str, identity: TopicIdentity) -> int:
    """The topic's generation; an identity not met before gets the next one. Safe to repeat."""
    with control.session() as session:
        known = lookup(control, topic, identity)
        if known is not None:
            return known.generation
        newest = session.scalar(select(func.max(TopicGeneration.generation)).where(TopicGeneration.topic == topic)) or 0
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
    """The topic's generation. Raises StoppedError where nobody has bound this topic, or its partitions changed."""
    known = lookup(control, topic, identity)
    if known is None:
        raise StoppedError(
            f"topic {topic} was made anew (id {identity.topic_id}): its offsets would order wrongly",
            "run `switchboard apply`, which starts its next generation and snapshots the table",
        )
    if known.partitions != identity.partitions:
        raise StoppedError(
            f"topic {topic} has {identity.partitions} partitions, {known.partitions} when it was bound",
            "keys have moved between partitions: make the topic anew, then run `switchboard apply`",
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
    """Topic -> the newest generation that was bound. Blocks on the control database."""
    with control.session() as session:
        query = select(TopicGeneration.topic, func.max(TopicGeneration.generation)).group_by(TopicGeneration.topic)
        return {topic: int(number) for topic, number in session.execute(query)}
