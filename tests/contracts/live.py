"""What the jobs compute from the sample, as part of the tests' catalog."""

from schemas.contracts.agent_sessions import agent_sessions
from schemas.contracts.agent_status import agent_status
from schemas.contracts.alerts import alerts
from schemas.contracts.queue_minutes import queue_minutes
from schemas.contracts.queue_stats import queue_stats
from schemas.contracts.structured_interactions import structured_interactions

__all__ = [
    "agent_sessions",
    "agent_status",
    "alerts",
    "queue_minutes",
    "queue_stats",
    "structured_interactions",
]
