"""A table of one shard may be in several states at once, known to the microsecond."""

from alembic import op
from sqlalchemy.dialects.mysql import DATETIME

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.alter_column("table_states", "since", type_=DATETIME(fsp=6), existing_nullable=False)
    op.alter_column("runs", "started_at", type_=DATETIME(fsp=6), existing_nullable=False)
    op.execute("ALTER TABLE table_states DROP PRIMARY KEY, ADD PRIMARY KEY (table_name, shard, state)")
