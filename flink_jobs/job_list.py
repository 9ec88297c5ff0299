"""Loads jobs: every `Job` value that the modules of a package or folder define."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from core.errors import MisconfiguredError
from core.modules import load_modules
from flink_jobs.jobs import Job


@dataclass(frozen=True)
class JobList:
    """The jobs, by name. Raises MisconfiguredError if two would share a name."""

    jobs: tuple[Job, ...] = ()

    def __post_init__(self) -> None:
        names = [job.name for job in self.jobs]
        if shared := sorted({name for name in names if names.count(name) > 1}):
            raise MisconfiguredError(f"jobs: two are named {', '.join(shared)}", "rename one of them")

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)

    def __getitem__(self, name: str) -> Job:
        for job in self.jobs:
            if job.name == name:
                return job
        raise MisconfiguredError(
            f"there is no job {name!r}",
            f"the jobs are {', '.join(job.name for job in self.jobs)}"
            if self.jobs
            else "name a folder of jobs: `jobs` in switchboard.toml",
        )


def load_jobs(where: str) -> JobList:
    """Loads the jobs of a folder of ``*.py`` files, or of a package by its dotted name; both are executed.

    Raises MisconfiguredError if they cannot be loaded, define no job, or name an SQL file that does not
    exist.
    """
    # a module may import another one's jobs
    jobs = {job for module in load_modules(where, "jobs") for job in _defined(module)}
    if not jobs:
        raise MisconfiguredError(
            f"jobs: {where!r} defines none", "name a folder or package whose modules define Job values"
        )
    return JobList(tuple(sorted(jobs, key=lambda job: job.name)))


def _defined(module: ModuleType) -> Iterator[Job]:
    folder = Path(str(module.__file__)).parent
    for value in vars(module).values():
        if not isinstance(value, Job):
            continue
        for file in value.files:
            if not (folder / file).is_file():
                raise MisconfiguredError(
                    f"jobs: {value.name!r} names the file {folder / file}, which does not exist",
                    "SQL files are beside the module that defines the job",
                )
        yield replace(value, folder=folder)
