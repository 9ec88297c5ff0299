"""The end of a snapshot is known to the millisecond."""

from alembic import op
from sqlalchemy.dialects.mysql import DATETIME

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.alter_column("snapshots", "ended_at", type_=DATETIME(fsp=3), existing_nullable=True)
