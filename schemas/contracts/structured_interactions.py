"""Each interaction with its agent, team, queue and account as they were when it started, its segments and its
survey."""

from schemas import privacy as p
from schemas import types as t
from schemas.table import ClickHouse, Computed, Month, Scd2, Table, immutable, optional, required

structured_interactions = Table(
    name="structured_interactions",
    source=Computed("structured_interactions", "structured"),
    tenant="account_id",
    key=("account_id", "started_at", "shard", "interaction_id"),
    history=Scd2(),
    columns=(
        immutable(1, "account_id", t.UInt(32), p.PUBLIC),
        immutable(2, "started_at", t.DateTime(3), p.PUBLIC),
        immutable(3, "shard", t.Text(), p.PUBLIC),
        immutable(4, "interaction_id", t.UInt(64), p.PUBLIC),
        required(5, "channel", t.Text(), p.PUBLIC),
        required(6, "direction", t.Text(), p.PUBLIC),
        required(7, "state", t.Text(), p.PUBLIC),
        optional(8, "account_name", t.Text(), p.REDACT),
        optional(9, "time_zone", t.Text(), p.PUBLIC),
        optional(10, "tier", t.Text(), p.PUBLIC),
        optional(11, "queue_id", t.UInt(32), p.PUBLIC),
        optional(12, "queue_name", t.Text(), p.PUBLIC),
        optional(13, "agent_id", t.UInt(32), p.Pseudonym("agent")),
        optional(14, "agent_name", t.Text(), p.REDACT),
        optional(15, "team_id", t.UInt(32), p.PUBLIC),
        optional(16, "team_name", t.Text(), p.PUBLIC),
        optional(17, "answered_at", t.DateTime(3), p.PUBLIC),
        optional(18, "ended_at", t.DateTime(3), p.PUBLIC),
        required(19, "is_abandoned", t.Bool(), p.PUBLIC),
        required(20, "cost", t.Decimal(18, 4), p.PUBLIC),
        required(21, "wait_ms", t.UInt(64), p.PUBLIC),
        required(22, "talk_ms", t.UInt(64), p.PUBLIC),
        required(23, "hold_ms", t.UInt(64), p.PUBLIC),
        required(24, "wrap_ms", t.UInt(64), p.PUBLIC),
        optional(25, "survey_score", t.Int(8), p.PUBLIC),
    ),
    clickhouse=ClickHouse(
        order_by=("account_id", "started_at", "shard", "interaction_id"),
        partition_by=Month("started_at"),
        keep_days=90,
    ),
)
