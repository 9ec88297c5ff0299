"""The jobs of the sample: results for the supervisors' page and for analysts."""

from __future__ import annotations

import datetime as dt

from flink_jobs.jobs import Job

agent_status = Job(
    "agent_status",
    reads=("agents", "teams", "queue_members", "agent_activity", "interactions"),
    files=("activities.sql", "agents_now.sql", "agent_status.sql"),
    checkpoint_seconds=30,
    state_days=14,
)
queue_stats = Job(
    "queue_stats",
    reads=("agents", "teams", "queues", "queue_members", "agent_activity", "interactions"),
    files=("activities.sql", "agents_now.sql", "queue_stats.sql"),
    checkpoint_seconds=30,
    state_days=14,
)
queue_minutes = Job(
    "queue_minutes",
    reads=("queues", "interactions", "interaction_segments"),
    files=("queue_minutes.sql",),
    checkpoint_seconds=30,
    state_days=14,
    margin=dt.timedelta(days=1),
)
structured_interactions = Job(
    "structured_interactions",
    reads=("accounts", "agents", "teams", "queues", "interactions", "interaction_segments", "surveys"),
    files=("structured_interactions.sql",),
    checkpoint_seconds=5,
    state_days=100,
)
agent_sessions = Job(
    "agent_sessions",
    reads=("agent_activity",),
    files=("activities.sql", "agent_sessions.sql"),
    checkpoint_seconds=5,
    state_days=3,
    margin=dt.timedelta(days=2),
)
