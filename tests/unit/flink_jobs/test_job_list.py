"""Jobs of one's own: a folder with modules and SQL, and what is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import MisconfiguredError
from core.settings import SAMPLE_JOBS, Settings
from flink_jobs.composition import jobs_of
from flink_jobs.job_list import load_jobs
from flink_jobs.jobs import Job, JobRun, result_table, statements
from schemas.catalog import load
from tests.launching import ROOT
from tests.nowhere import ENDPOINTS

CATALOG = load(str(ROOT / "tests" / "contracts"))
SHOP = ROOT / "tests" / "jobs"
JOB = "from flink_jobs.jobs import Job\n{name} = Job({values})\n"


def written(folder: Path, **jobs: str) -> str:
    """A folder with a file of each job, and the SQL `query.sql`."""
    for name, values in jobs.items():
        (folder / f"{name}.py").write_text(JOB.format(name=name, values=values))
    (folder / "query.sql").write_text("SELECT 1")
    return str(folder)


def values(name: str = "ours", reads: str = "('tickets',)", files: str = "('query.sql',)") -> str:
    return f"{name!r}, {reads}, {files}, 5, 30"


def insert(folder: Path, sql: str) -> str:
    (folder / "query.sql").write_text(sql)
    job = Job("open_tickets", ("tickets",), ("query.sql",), 5, 30, folder=folder)
    return statements(JobRun(job, result_table(job, CATALOG)), CATALOG, ENDPOINTS, {})[-1]


def test_a_folder_s_jobs_are_loaded_with_their_sql_beside_them() -> None:
    (job,) = load_jobs(str(SHOP))
    *_, view, _, last = statements(JobRun(job, result_table(job, CATALOG)), CATALOG, ENDPOINTS, {})
    assert (job.name, job.folder) == ("open_tickets", SHOP)
    assert "VIEW states" in view
    assert last.startswith("INSERT INTO `open_tickets_sink`")


def test_a_module_may_use_the_jobs_of_another(tmp_path: Path) -> None:
    where = written(tmp_path, first=values())
    (tmp_path / "second.py").write_text((tmp_path / "first.py").read_text())
    assert [job.name for job in load_jobs(where)] == ["ours"]


@pytest.mark.parametrize(
    ("sql", "end"),
    [
        ("SELECT 1;", "(\nSELECT 1\n)"),
        ("SELECT 1; \r\n", "(\nSELECT 1\n)"),
        ("SELECT 1;\n-- the end;\n", "(\nSELECT 1\n)"),
        ("SELECT ';' AS a\n", "(\nSELECT ';' AS a\n)"),
        ("SELECT 0;\n-- what counts\nSELECT 1", "(\n-- what counts\nSELECT 1\n)"),
    ],
)
def test_the_last_statement_is_the_query_however_its_file_ends(tmp_path: Path, sql: str, end: str) -> None:
    assert insert(tmp_path, sql).endswith(end)


def test_a_job_without_a_statement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="the SQL of job 'open_tickets' has no statement"):
        insert(tmp_path, "-- nothing yet\n")


def test_a_job_reads_captured_tables_only() -> None:
    (job,) = load_jobs(str(SHOP))
    chained = replace(job, reads=("tickets", "open_tickets"))
    with pytest.raises(MisconfiguredError, match="'open_tickets' reads open_tickets, which a job computes"):
        statements(JobRun(chained, result_table(chained, CATALOG)), CATALOG, ENDPOINTS, {})


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ({}, "defines none"),
        ({"a": values(), "b": values(reads="('agents',)")}, "two are named ours"),
        ({"a": values(files="('absent.sql',)")}, "absent.sql, which does not exist"),
        ({"a": values(name="../../etc")}, "not a name"),
        ({"a": values(name="two.g2")}, "not a name"),
        ({"a": values(reads="()")}, "no input"),
        ({"a": f"{values()[:-2]}0"}, "a time is negative or zero"),
        ({"a": "'ours'"}, "TypeError"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_loaded(
    tmp_path: Path, jobs: dict[str, str], message: str
) -> None:
    with pytest.raises(MisconfiguredError, match=message):
        load_jobs(written(tmp_path, **jobs))


def test_the_sample_s_jobs_run_with_the_sample_s_contracts_and_nobody_else_s() -> None:
    assert jobs_of(Settings()) == load_jobs(SAMPLE_JOBS)
    strangers = jobs_of(Settings(contracts="my_contracts"))
    assert list(strangers) == []
    with pytest.raises(MisconfiguredError, match="no job 'agent_status'") as refused:
        strangers["agent_status"]
    assert refused.value.remedy == "name a folder of jobs: `jobs` in switchboard.toml"
    assert [job.name for job in jobs_of(Settings(contracts="my_contracts", jobs=str(SHOP)))] == [
        "open_tickets"
    ]
    with pytest.raises(ValidationError):
        Settings(jobs="")
