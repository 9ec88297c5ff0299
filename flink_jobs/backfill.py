"""A job's result made anew beside the one in force: planned, run, compared, and swapped in by one pointer.

Each step can be repeated, and is resumed by repeating it: what stands is told by the control database, and what a step makes
it makes only if it is missing.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaError, KafkaException

from consumers.consumer_lag import LagTracker, horizon
from consumers.topic_planner import TopicPlanner
from core.clients import clickhouse
from core.clients.kafka import admin
from core.control import ControlDatabase
from core.control.result_versions import (
    DROPPED,
    PLANNED,
    READY,
    RUNNING,
    Generation,
    activate,
    active_version,
    active_versions,
    generations,
    save,
)
from core.control.runs import recorded
from core.errors import MisconfiguredError, TransientError
from core.settings import Endpoints, Settings
from flink_jobs import compare
from flink_jobs.client import FlinkClient
from flink_jobs.jobs import Job, Making, result_of, time_column
from flink_jobs.rest import ENDED, Flink
from flink_jobs.submit import Submitter
from schemas.catalog import Catalog
from schemas.names import ch_name, dlq_of, topic_of
from schemas.render.clickhouse import META_COLUMNS, create_current_view, create_storage_table, storage_table
from schemas.table import Shards, Table

LANDING_SECONDS = 120.0
MAX_CHECKPOINT_INTERVAL_SECONDS = 4.0
PAUSE = 0.25
Tell = Callable[[str, int, int], None]
"""Stage, done, of how many."""


@dataclass(frozen=True)
class Standing:
    """A generation of a result as it is now. `job` is Flink's state of the job that fills it."""

    generation: int
    state: str
    begins: dt.datetime | None
    in_force: bool
    job: str


class Backfills:
    """Blocks on every server. `contracts` are as declared; the control database tells the generations in force."""

    def __init__(self, endpoints: Endpoints, settings: Settings, contracts: Catalog, control: ControlDatabase, client: FlinkClient) -> None:
        if endpoints.flink is None:
            raise MisconfiguredError("there is no Flink here", "run `switchboard up --all`")
        self._endpoints = endpoints
        self._settings = settings
        self._contracts = contracts
        self._control = control
        self._flink = Flink(endpoints.flink)
        self._client = client

    def status(self, job: Job) -> list[Standing]:
        """Every generation that is not dropped."""
        result = result_of(job, self._contracts)
        live, known = active_version(self._control, result.name).generation, self._known(result)
        states = {status.name: status.state for status in reversed(self._flink.jobs())}
        return [
            Standing(found.number, found.state, found.begins, found.number == live, states.get(self._making(job, found).name, ""))
            for found in known
            if found.state != DROPPED
        ]

    def plan(self, job: Job, begins: dt.datetime | None) -> Generation:
        """Remembers what `run` is to do. `begins` is in UTC, in whole seconds.

        Raises MisconfiguredError while another generation waits beside the one in force, and if the topics no longer hold all
        that is to be computed.
        """
        result = result_of(job, self._contracts)
        if begins is not None and time_column(result) is None:
            raise MisconfiguredError(f"rows of {result.name!r} belong to no time", "leave out --from: its job is cheap to replay whole")
        if time_column(result) is not None:
            self._held(job, begins)
        other = self._beside(result)
        if other is not None and other.state != PLANNED:
            raise MisconfiguredError(
                f"generation {other.number} of {result.name!r} stands beside the one in force",
                f"`switchboard backfill swap {job.name}` puts it in force, `switchboard backfill drop {job.name}` removes it",
            )
        number = other.number if other is not None else max(found.number for found in self._known(result)) + 1
        planned = Generation(result.name, number, PLANNED, begins)
        with self._recorded(job, "plan", generation=number, begins=None if begins is None else begins.isoformat()):
            save(self._control, planned)
        return planned

    def _held(self, job: Job, begins: dt.datetime | None) -> None:
        """Rows that can neither be computed, as their records are gone, nor be taken over, would vanish at the swap."""
        tables = [self._contracts[name] for name in job.reads]
        earliest = horizon(self._endpoints.kafka, [topic_of(table) for table in tables if isinstance(table.source, Shards)])
        if earliest is None or (begins is not None and begins - job.margin >= earliest):
            return
        least = (earliest + job.margin + dt.timedelta(seconds=1)).replace(microsecond=0)
        raise MisconfiguredError(
            f"the topics that {job.name!r} reads hold what was committed since {earliest:%Y-%m-%d %H:%M:%S} UTC, and no more",
            f"`--from {least.isoformat()}`, or later: older rows are taken over as they stand",
        )

    def run(self, job: Job, tell: Tell, limit: float) -> Generation:
        """Makes the planned generation and waits, `limit` seconds at most, until it has caught up and landed.

        Raises MisconfiguredError if nothing is planned, TransientError if it takes longer or its job fails: then run it again.
        """
        result = result_of(job, self._contracts)
        found = self._beside(result)
        if found is None:
            raise MisconfiguredError(f"no backfill of {job.name!r} is planned", f"`switchboard backfill plan {job.name}` plans one")
        with self._recorded(job, "run", generation=found.number):
            return self._run(job, found, tell, limit)

    def _run(self, job: Job, found: Generation, tell: Tell, limit: float) -> Generation:
        made = self._making(job, found)
        if found.state == PLANNED:
            tell("make its topic and table", 0, 1)
            self._make(made)
            found = replace(found, state=RUNNING)
            save(self._control, found)
        tell("start its job", 0, 1)
        catalog = self._contracts.with_generations(active_versions(self._control))
        identity = Submitter(self._endpoints, catalog, self._client, self._control).begin([made])[made.name]
        deadline = time.monotonic() + limit
        self._read_whole(made, identity, tell, deadline)
        self._landed_whole(made, tell, min(deadline, time.monotonic() + LANDING_SECONDS))
        found = replace(found, state=READY)
        save(self._control, found)
        return found

    def diff(self, job: Job, rest_seconds: float) -> list[compare.Day]:
        """The result in force beside the other generation, each day since the backfill begins. See `compare.days`."""
        result, found = self._ready(job)
        live = self._at(result, active_version(self._control, result.name).generation)
        with self._recorded(job, "diff", generation=found.number) as told:
            compared = compare.days(self._clickhouse(), live, self._at(result, found.number), found.begins, rest_seconds)
            told |= {"days": len(compared), "different": [f"{day.day}" for day in compared if not day.same]}
        return compared

    def swap(self, job: Job) -> int:
        """Puts the newest generation in force; its number. Both jobs go on, so that `revert` takes it back without a gap.

        Where it is in force already, the view is made to follow, as after a swap that was cut off.
        """
        result = result_of(job, self._contracts)
        at, newest = active_version(self._control, result.name), self._standing(result)[-1]
        if at.generation != newest.number:
            self._runs(job, self._ready(job)[1])
        elif at.generation == at.previous:
            self._ready(job)  # says that there is none
        return self._point(job, result, newest.number, "swap")

    def revert(self, job: Job) -> int:
        """Puts the generation before the last swap back in force; its number. Repeated, it makes the view follow."""
        result = result_of(job, self._contracts)
        at = active_version(self._control, result.name)
        if at.previous > at.generation:
            return self._point(job, result, at.generation, "revert")
        earlier = next((found for found in self._standing(result) if found.number == at.previous != at.generation), None)
        if earlier is None or earlier.state != READY:
            raise MisconfiguredError(
                f"{result.name!r} has no earlier generation to go back to", "`switchboard backfill status` shows what stands"
            )
        self._runs(job, earlier)
        return self._point(job, result, earlier.number, "revert")

    def _runs(self, job: Job, found: Generation) -> None:
        """Whoever reads a generation whose job stands still is shown what was."""
        name = self._making(job, found).name
        running = self._flink.running(name)
        if running is None or running.state != "RUNNING":
            state = "does not run" if running is None else f"is {running.state}"
            start = f"backfill run {job.name}" if found.number > 1 else f"flink submit {job.name}"
            raise MisconfiguredError(f"job {name!r} {state}", f"`switchboard {start}` starts it, and it catches up")

    def follow(self, job: Job) -> None:
        """Makes the view read the generation in force. Safe to repeat."""
        result = result_of(job, self._contracts)
        live = self._at(result, active_version(self._control, result.name).generation)
        self._clickhouse().command(create_current_view(live))

    def drop(self, job: Job) -> list[int]:
        """Ends the jobs of the generations that are not in force and removes their tables and topics; their numbers."""
        result = result_of(job, self._contracts)
        with self._recorded(job, "drop") as told:
            other = self._beside(result)
            if other is not None:
                save(self._control, replace(other, state=DROPPED))
            gone = [found for found in self._known(result) if found.state == DROPPED]
            removed = [found.number for found in gone if self._remove(self._making(job, found))]
            told |= {"generations": removed}
        return removed

    def _point(self, job: Job, result: Table, number: int, verb: str) -> int:
        with self._recorded(job, verb, generation=number):
            activate(self._control, result.name, number)
            self.follow(job)
        return number

    def _make(self, made: Making) -> None:
        """Before its job was ever started: rows that an interrupted run took over are taken over anew."""
        target = TopicPlanner(self._endpoints, self._settings.topics, Catalog((made.result,)), self._control)
        mine = {topic_of(made.result), dlq_of(topic_of(made.result))}
        while steps := [step for step in target.plan() if step.subject in mine]:
            for step in steps:
                target.apply(step)
        client = self._clickhouse()
        client.command(create_storage_table(made.result))
        column = time_column(made.result)
        if made.begins is not None and column is not None:
            live = self._at(made.result, active_version(self._control, made.result.name).generation)
            client.command(f"TRUNCATE TABLE {storage_table(made.result)}")
            client.command(taken_over(live, made.result, column, made.begins))

    def _read_whole(self, made: Making, identity: str, tell: Tell, deadline: float) -> None:
        catalog = self._contracts
        lag = LagTracker(self._endpoints.kafka, made.name, [topic_of(catalog[name]) for name in made.job.reads])
        interval = PAUSE
        ask_at = time.monotonic() + interval
        try:
            while remaining := lag.remaining():
                tell("read its topics", lag.total - remaining, lag.total)
                state = self._flink.details(identity)["state"]
                if state in ENDED or time.monotonic() > deadline:
                    reason = self._flink.cause(identity) or f"{remaining:,} records are left"
                    raise TransientError(
                        f"job {made.name!r}, {state}, has not caught up: {reason}", f"`switchboard backfill run {made.job.name}`"
                    )
                if time.monotonic() > ask_at:  # Flink commits the offsets that it has read with its checkpoints
                    self._flink.ask_checkpoint(identity)
                    interval = min(2 * interval, MAX_CHECKPOINT_INTERVAL_SECONDS)
                    ask_at = time.monotonic() + interval
                time.sleep(PAUSE)
            tell("read its topics", lag.total, lag.total)
        finally:
            lag.close()

    def _landed_whole(self, made: Making, tell: Tell, deadline: float) -> None:
        lag = LagTracker(self._endpoints.kafka, self._settings.landing.group, [topic_of(made.result)])
        try:
            while remaining := lag.remaining():
                tell("land its rows", lag.total - remaining, lag.total)
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"{remaining:,} records of {topic_of(made.result)} have not landed", "does `switchboard land` run?"
                    )
                time.sleep(PAUSE)
            tell("land its rows", lag.total, lag.total)
        finally:
            lag.close()

    def _remove(self, made: Making) -> bool:
        """Whether anything was left of it."""
        running = self._flink.running(made.name)
        if running is not None:
            self._flink.cancel(running.id)
        client, kafka = self._clickhouse(), admin(self._endpoints.kafka)
        live = kafka.list_topics(timeout=15).topics
        topics = [name for name in (topic_of(made.result), dlq_of(topic_of(made.result))) if name in live]
        for name, future in kafka.delete_topics(topics, operation_timeout=30).items() if topics else ():
            try:
                future.result(30)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise TransientError(f"topic {name} cannot be deleted: {error}", "run it again") from error
        stood = bool(client.query(f"EXISTS TABLE {storage_table(made.result)}").result_rows[0][0])
        client.command(f"DROP TABLE IF EXISTS {storage_table(made.result)} SYNC")
        return running is not None or bool(topics) or stood

    def _ready(self, job: Job) -> tuple[Table, Generation]:
        result = result_of(job, self._contracts)
        found = self._beside(result)
        if found is None or found.state != READY:
            raise MisconfiguredError(
                f"no other generation of {result.name!r} has caught up",
                f"`switchboard backfill plan {job.name}`, then `switchboard backfill run {job.name}`",
            )
        return result, found

    def _beside(self, result: Table) -> Generation | None:
        """The one generation that is neither in force nor dropped."""
        live = active_version(self._control, result.name).generation
        return next((found for found in self._standing(result) if found.number != live), None)

    def _standing(self, result: Table) -> list[Generation]:
        """Those that are not dropped, oldest first: one or two."""
        return sorted((found for found in self._known(result) if found.state != DROPPED), key=lambda found: found.number)

    def _known(self, result: Table) -> list[Generation]:
        """The first among them, which has no row of its own until it is dropped."""
        known = {found.number: found for found in generations(self._control, result.name)}
        return list(({1: Generation(result.name, 1, READY, None)} | known).values())

    def _making(self, job: Job, found: Generation) -> Making:
        return Making(job, self._at(result_of(job, self._contracts), found.number), found.begins)

    @staticmethod
    def _at(result: Table, number: int) -> Table:
        return replace(result, generation=number)

    def _clickhouse(self) -> Client:
        return clickhouse.connect(self._endpoints.clickhouse)

    def _recorded(self, job: Job, verb: str, **detail: object) -> AbstractContextManager[dict[str, object]]:
        return recorded(self._control, f"backfill {verb}", job.name, **detail)


def taken_over(live: Table, made: Table, column: str, begins: dt.datetime) -> str:
    """The INSERT of the rows from before `begins`, as they stand; whatever the job tells of one of them beats it."""
    names = [ch_name(name) for name in (*live.names, *(name for name, _ in META_COLUMNS))]
    values = ["0" if name == ch_name("_version") else name for name in names]
    return (
        f"INSERT INTO {storage_table(made)} ({', '.join(names)})\nSELECT {', '.join(values)} FROM {storage_table(live)} FINAL\n"
        f"WHERE {ch_name(column)} < toDateTime('{begins:%Y-%m-%d %H:%M:%S}', 'UTC')"
    )
