"""Which generation of a computed table is in force, which others there are, and the plans of the jobs that
fill them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import DATETIME

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "result_generations",
        sa.Column("table_name", sa.String(200), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("begins", DATETIME(fsp=3)),
        sa.Column("changed_at", DATETIME(fsp=6), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "result_pointers",
        sa.Column("table_name", sa.String(200), primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer, nullable=False),
        sa.Column("moved_at", DATETIME(fsp=6), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "job_plans",
        sa.Column("job_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("operators", sa.JSON, nullable=False),
        sa.Column("submitted_at", DATETIME(fsp=6), nullable=False),
        if_not_exists=True,
    )
    if not sa.inspect(op.get_bind()).get_indexes("job_plans"):
        op.create_index("ix_job_plans_name", "job_plans", ["name"])
