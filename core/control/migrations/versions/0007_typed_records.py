"""Each kind of record has a table of its own instead of text and JSON in `runs`, whose rows are moved."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT

revision = "0007"
down_revision = "0006"

BEFORE_SLASH = "SUBSTRING_INDEX(subject, '/', 1)"
AFTER_SLASH = "SUBSTRING(subject, LOCATE('/', subject) + 1)"
INDEXES = {
    "ix_snapshots_server_status": ("snapshots", ["server", "status"]),
    "ix_accepted_gaps_topic": ("accepted_gaps", ["topic"]),
    "ix_verify_results_table_shard": ("verify_results", ["table_name", "shard"]),
    "ix_backfill_steps_job": ("backfill_steps", ["job"]),
}
VERBS = ("plan", "run", "diff", "swap", "revert", "drop")


def upgrade() -> None:
    _create_tables()
    _create_indexes()
    if sa.inspect(op.get_bind()).has_table("runs"):
        _move_rows()
        op.execute("DROP TABLE IF EXISTS runs")
    _rename_start_time()


def _create_tables() -> None:
    _create(
        "snapshots",
        sa.Column("server", sa.String(100), nullable=False),
        sa.Column("collection", sa.String(149), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("row_filter", sa.Text),
        sa.Column("after_offset", sa.BigInteger, nullable=False),
        sa.Column("last_event", sa.String(32)),
        sa.Column("scan_status", sa.String(32)),
        sa.Column("rows", sa.BigInteger),
        sa.Column("last_key", sa.Text, nullable=False),
        sa.Column("maximum_key", sa.Text, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("requested_at", DATETIME(fsp=6), nullable=False),
        sa.Column("ended_at", sa.DateTime),
    )
    _create(
        "quarantines",
        sa.Column("server", sa.String(100), nullable=False),
        sa.Column("shard", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("automatic", sa.Boolean, nullable=False),
        sa.Column("since", DATETIME(fsp=6), nullable=False),
        sa.Column("released_at", sa.DateTime),
    )
    op.create_table(
        "schema_change_cursors",
        sa.Column("server", sa.String(100), primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "captured_tables",
        sa.Column("server", sa.String(100), primary_key=True),
        sa.Column("include_list", MEDIUMTEXT, nullable=False),
        sa.Column("applied_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    _create(
        "accepted_gaps",
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("offsets", sa.JSON, nullable=False),
        sa.Column("accepted_at", sa.DateTime, nullable=False),
    )
    _create(
        "verify_results",
        sa.Column("table_name", sa.String(200), nullable=False),
        sa.Column("shard", sa.String(64), nullable=False),
        sa.Column("answer", sa.String(16), nullable=False),
        sa.Column("rows_source", sa.BigInteger, nullable=False),
        sa.Column("rows_clickhouse", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("started_at", DATETIME(fsp=6), nullable=False),
        sa.Column("ended_at", sa.DateTime, nullable=False),
    )
    _create(
        "apply_runs",
        *_recorded(),
        sa.Column("contracts", sa.Text, nullable=False),
        sa.Column("allowed", sa.JSON, nullable=False),
        sa.Column("steps", sa.JSON, nullable=False),
    )
    _create(
        "backfill_steps",
        *_recorded(),
        sa.Column("job", sa.String(200), nullable=False),
        sa.Column("verb", sa.String(16), nullable=False),
        sa.Column("generation", sa.Integer),
        sa.Column("start_time", DATETIME(fsp=3)),
        sa.Column("days", sa.Integer),
        sa.Column("different_days", sa.JSON),
        sa.Column("dropped", sa.JSON),
    )


def _create(name: str, *columns: sa.Column[Any]) -> None:
    identity = sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True)
    op.create_table(name, identity, *columns, if_not_exists=True)


def _create_indexes() -> None:
    inspector = sa.inspect(op.get_bind())
    for name, (table, columns) in INDEXES.items():
        if name not in {index["name"] for index in inspector.get_indexes(table)}:
            op.create_index(name, table, columns)


def _recorded() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("started_at", DATETIME(fsp=6), nullable=False),
        sa.Column("ended_at", sa.DateTime),
    )


def _move_rows() -> None:
    """Rows keep their ids, so that a repeated statement inserts none twice."""
    ended = {"started_at": "started_at", "ended_at": "ended_at"}
    _move(
        "snapshots",
        "kind = 'snapshot'",
        id="id",
        server=BEFORE_SLASH,
        collection=AFTER_SLASH,
        status="status",
        row_filter=_text("where"),
        after_offset="COALESCE(detail->>'$.after', 0)",
        last_event=_text("told.kind"),
        scan_status=_text("told.status"),
        rows=f"CAST({_text('told.rows')} AS SIGNED)",
        last_key=f"COALESCE({_text('told.last_key')}, '')",
        maximum_key=f"COALESCE({_text('told.maximum_key')}, '')",
        paused="COALESCE(detail->>'$.told.paused', 'false') = 'true'",
        requested_at="started_at",
        ended_at="ended_at",
    )
    _move(
        "quarantines",
        "kind = 'quarantine'",
        id="id",
        server=BEFORE_SLASH,
        shard=AFTER_SLASH,
        reason="detail->>'$.reason'",
        automatic="detail->>'$.alone' = 'true'",
        since="started_at",
        released_at="ended_at",
    )
    _move(
        "schema_change_cursors",
        "kind = 'ddl' GROUP BY subject",
        server="subject",
        offset="MAX(CAST(detail->>'$.offset' AS SIGNED))",
        moved_at="MAX(started_at)",
    )
    _move(
        "captured_tables",
        "id IN (SELECT MAX(id) FROM runs WHERE kind = 'capture' GROUP BY subject)",
        server="subject",
        include_list="detail->>'$.\"table.include.list\"'",
        applied_at="started_at",
    )
    _move(
        "accepted_gaps",
        "kind = 'gap'",
        id="id",
        topic="subject",
        generation="detail->>'$.generation'",
        offsets="detail->'$.offsets'",
        accepted_at="started_at",
    )
    _move(
        "verify_results",
        "kind = 'verify'",
        id="id",
        table_name=BEFORE_SLASH,
        shard=AFTER_SLASH,
        answer="LOWER(status)",
        rows_source="COALESCE(detail->>'$.rows', 0)",
        rows_clickhouse="COALESCE(detail->>'$.rows_clickhouse', 0)",
        reason="COALESCE(detail->>'$.reason', '')",
        started_at="started_at",
        ended_at="COALESCE(ended_at, started_at)",
    )
    _move(
        "apply_runs",
        "kind = 'apply'",
        **ended,
        id="id",
        status="status",
        error="detail->>'$.error'",
        contracts="subject",
        allowed="COALESCE(detail->'$.allowed', JSON_ARRAY())",
        steps="COALESCE(detail->'$.steps', JSON_ARRAY())",
    )
    _move(
        "backfill_steps",
        "kind IN (" + ", ".join(f"'backfill {verb}'" for verb in VERBS) + ")",
        **ended,
        id="id",
        status="status",
        error="detail->>'$.error'",
        job="subject",
        verb="SUBSTRING(kind, LENGTH('backfill ') + 1)",
        generation=_text("generation"),
        start_time=f"REPLACE({_text('start_time')}, 'T', ' ')",
        days=_text("days"),
        different_days="detail->'$.different'",
        dropped="detail->'$.generations'",
    )


def _text(path: str) -> str:
    """SQL of a field of `detail` as text; NULL for JSON's null too."""
    return f"IF(JSON_TYPE(detail->'$.{path}') = 'NULL', NULL, detail->>'$.{path}')"


def _move(table: str, condition: str, **columns: str) -> None:
    """`columns` maps each column of the table to its value, as SQL over `runs`."""
    names = [f"`{name}`" for name in columns]
    op.execute(
        f"INSERT INTO {table} ({', '.join(names)}) "
        f"SELECT {', '.join(columns.values())} FROM runs WHERE {condition} "
        f"ON DUPLICATE KEY UPDATE {names[0]} = {table}.{names[0]}"
    )


def _rename_start_time() -> None:
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("result_generations")}
    if "begins" in columns:
        op.alter_column(
            "result_generations",
            "begins",
            new_column_name="start_time",
            existing_type=DATETIME(fsp=3),
            existing_nullable=True,
        )
