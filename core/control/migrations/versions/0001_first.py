"""Topic generations, applied contracts, known schemas, table states, watermarks, runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "topic_generations",
        sa.Column("topic", sa.String(249), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("cluster_id", sa.String(64), nullable=False),
        sa.Column("topic_id", sa.String(64), nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.Column("bound_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("topic", "cluster_id", "topic_id"),
        if_not_exists=True,
    )
    op.create_table(
        "applied_contracts",
        sa.Column("table_name", sa.String(200), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("contract", sa.JSON, nullable=False),
        sa.Column("applied_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "known_schemas",
        sa.Column("schema_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("schema", MEDIUMTEXT, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "table_states",
        sa.Column("table_name", sa.String(200), primary_key=True),
        sa.Column("shard", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "export_watermarks",
        sa.Column("table_name", sa.String(200), primary_key=True),
        sa.Column("shard", sa.String(64), primary_key=True),
        sa.Column("watermark", sa.DateTime),
        sa.Column("last_key", sa.Text),
        sa.Column("batch_id", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(249), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("ended_at", sa.DateTime),
        if_not_exists=True,
    )


def downgrade() -> None:
    for name in (
        "runs",
        "export_watermarks",
        "table_states",
        "known_schemas",
        "applied_contracts",
        "topic_generations",
    ):
        op.drop_table(name)
