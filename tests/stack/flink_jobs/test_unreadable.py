"""A record that cannot be read is a dead letter of the lander's; the jobs leave it out, and its neighbours
count."""

from __future__ import annotations

from core.wire import confluent
from flink_jobs.rest import Flink
from tests.pipeline import eventually
from tests.stack.consumers.test_dead_letters import newest_value, send
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import Centre
from tests.stack.flink_jobs.results import becomes, structured

JOB = "structured_interactions"


def left_out(flink: Flink) -> int:
    running = flink.running(JOB)
    assert running is not None
    return sum(flink.unreadable(running.id, vertex["id"]) for vertex in flink.details(running.id)["vertices"])


def test_a_job_leaves_out_what_cannot_be_read_and_goes_on(jobs: Flink, centre: Centre) -> None:
    rated = centre.contact()
    mark = f"unreadable {rated}"
    centre.sql(
        "INSERT INTO surveys VALUES (%s, %s, %s, 3, NULL, %s, NOW())",
        centre.identity(),
        rated,
        centre.account,
        mark,
    )
    becomes(structured, centre, reference.structured(centre.world()))
    good = newest_value(centre.pipeline, mark.encode())
    before = jobs.running(JOB)
    already = left_out(jobs)
    torn = good[:5] + b"\xff" * 9 + good[5:]
    send(
        centre.pipeline,
        good + b"more",
        good,
        good[:-9],
        b"\x07none",
        torn,
        good,
        confluent.frame(987_654, b"unknown"),
        good,
    )
    centre.survey(centre.contact())
    becomes(structured, centre, reference.structured(centre.world()))
    assert jobs.running(JOB) == before
    assert before is not None
    assert jobs.cause(before.id) == ""
    eventually(lambda: left_out(jobs) - already == 5)
