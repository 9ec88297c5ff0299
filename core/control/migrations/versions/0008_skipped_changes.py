"""How far the notifications were searched for skipped changes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "skipped_change_cursors",
        sa.Column("server", sa.String(100), primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.DateTime, nullable=False),
        if_not_exists=True,
    )
