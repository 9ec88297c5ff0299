"""The states of tables have the names that commands print: NEEDS_SNAPSHOT and NEEDS_VERIFICATION."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.alter_column("table_states", "state", type_=sa.String(32), existing_nullable=False)
    op.execute("UPDATE table_states SET state = 'NEEDS_SNAPSHOT' WHERE state = 'BACKFILL'")
    op.execute("UPDATE table_states SET state = 'NEEDS_VERIFICATION' WHERE state = 'FROZEN'")
