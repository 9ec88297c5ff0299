"""A job that is none of the sample's."""

from flink_jobs.jobs import Job

open_tickets = Job(
    "open_tickets", reads=("tickets",), files=("open_tickets.sql",), checkpoint_seconds=5, state_days=30
)
