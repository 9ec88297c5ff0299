"""The sample domain, as part of the tests' catalog."""

from schemas.contracts.accounts import accounts
from schemas.contracts.agent_activity import agent_activity
from schemas.contracts.agents import agents
from schemas.contracts.interaction_segments import interaction_segments
from schemas.contracts.interactions import interactions
from schemas.contracts.queue_members import queue_members
from schemas.contracts.queues import queues
from schemas.contracts.surveys import surveys
from schemas.contracts.teams import teams

__all__ = [
    "accounts",
    "agent_activity",
    "agents",
    "interaction_segments",
    "interactions",
    "queue_members",
    "queues",
    "surveys",
    "teams",
]
