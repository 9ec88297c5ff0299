"""Composes what the commands of this package run."""

from __future__ import annotations

from core.control import open_control
from core.control.result_versions import active_versions
from core.settings import Context, Settings
from flink_jobs import client
from flink_jobs.backfill import Backfills
from flink_jobs.client import FlinkClient
from flink_jobs.job_list import JobList, load_jobs
from flink_jobs.submit import Submitter
from schemas.catalog import load as load_catalog


def jobs_of(settings: Settings) -> JobList:
    """Returns the jobs that the settings name; none if they name none. Raises as `load_jobs`."""
    return JobList() if settings.jobs_or_sample is None else load_jobs(settings.jobs_or_sample)


def make_submitter(context: Context) -> Submitter:
    """Returns a submitter of every job, for the active generation of its result. Blocks for the control
    database."""
    control = open_control(context)
    catalog = load_catalog(context.settings.contracts).with_generations(active_versions(control))
    return Submitter(context.endpoints, catalog, _client(context), control)


def make_backfills(context: Context) -> Backfills:
    """Returns the backfills of every job. Blocks for the control database."""
    control = open_control(context)
    contracts = load_catalog(context.settings.contracts)
    return Backfills(context.endpoints, context.settings, contracts, control, _client(context))


def _client(context: Context) -> FlinkClient:
    settings = context.settings
    return client.load(settings.home, context.endpoints.flink, settings.flink)
