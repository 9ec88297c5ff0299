"""Of each run of a job: where its state was left when it was stopped, and which makings of its topics it
reads."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("job_plans")}
    for column in (sa.Column("stopped_at", sa.Text), sa.Column("topics", sa.JSON)):
        if column.name not in there:
            op.add_column("job_plans", column)
