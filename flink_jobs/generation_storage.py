"""What a generation of a result is stored in: its topic, its dead-letter topic and its table. All functions
are idempotent and block on the servers."""

from __future__ import annotations

import datetime as dt

from confluent_kafka import KafkaError, KafkaException

from consumers.topic_planner import TopicPlanner
from core.clients import clickhouse
from core.clients.kafka import admin
from core.control import ControlDatabase
from core.errors import TransientError
from core.settings import Endpoints, TopicSettings
from flink_jobs.jobs import JobRun, time_column
from schemas.catalog import Catalog
from schemas.names import ch_name, dlq_of, topic_of
from schemas.render.clickhouse import META_COLUMNS, create_storage_table, storage_table
from schemas.table import Table


def create(
    endpoints: Endpoints, settings: TopicSettings, control: ControlDatabase, job_run: JobRun, live: Table
) -> None:
    """Creates topics and table, before the job is started. Rows older than its start time are copied from
    `live`, the active generation; those that an interrupted run copied are copied again."""
    target = TopicPlanner(endpoints, settings, Catalog((job_run.result,)), control)
    owned = set(_topics(job_run))
    while steps := [step for step in target.plan() if step.subject in owned]:
        for step in steps:
            target.apply(step)
    client = clickhouse.connect(endpoints.clickhouse)
    client.command(create_storage_table(job_run.result))
    column = time_column(job_run.result)
    if job_run.start_time is not None and column is not None:
        client.command(f"TRUNCATE TABLE {storage_table(job_run.result)}")
        client.command(copy_history_query(live, job_run.result, column, job_run.start_time))


def remove(endpoints: Endpoints, job_run: JobRun) -> bool:
    """Removes topics and table; returns whether any existed."""
    kafka = admin(endpoints.kafka)
    live = kafka.list_topics(timeout=15).topics
    topics = [name for name in _topics(job_run) if name in live]
    for name, future in kafka.delete_topics(topics, operation_timeout=30).items() if topics else ():
        try:
            future.result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TransientError(f"topic {name} cannot be deleted: {error}", "run it again") from error
    client, table = clickhouse.connect(endpoints.clickhouse), storage_table(job_run.result)
    existed = bool(client.query(f"EXISTS TABLE {table}").result_rows[0][0])
    client.command(f"DROP TABLE IF EXISTS {table} SYNC")
    return bool(topics) or existed


def _topics(job_run: JobRun) -> tuple[str, str]:
    topic = topic_of(job_run.result)
    return topic, dlq_of(topic)


def copy_history_query(live: Table, copy: Table, column: str, start_time: dt.datetime) -> str:
    """Returns the INSERT of the rows before `start_time`, with version 0: any record of the job replaces
    them."""
    names = [ch_name(name) for name in (*live.names, *(name for name, _ in META_COLUMNS))]
    values = ["0" if name == ch_name("_version") else name for name in names]
    return (
        f"INSERT INTO {storage_table(copy)} ({', '.join(names)})\nSELECT {', '.join(values)} FROM "
        f"{storage_table(live)} FINAL\n"
        f"WHERE {ch_name(column)} < toDateTime('{start_time:%Y-%m-%d %H:%M:%S}', 'UTC')"
    )
