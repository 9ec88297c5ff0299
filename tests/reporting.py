"""What a test run says of itself: why a test failed, which tests are flaky, where the time went, what was not
run.

A failing test against servers is run once more. If it passes then, the run may pass, and the test is listed
under FLAKY with both outcomes; more than `MAX_FLAKY` of them fail the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from tests.containers import lacking_container_command

MAX_FLAKY = 2
LOG_LINES, LOG_COLUMNS = 12, 300
HOMES: list[Path] = []
"""Folders of the stacks that this process has started; their ``logs`` are shown beside a failure."""
Report = pytest.TestReport
Stats = dict[str, list[Report]]


def rerun_once(items: Iterable[pytest.Item]) -> None:
    """Marks those that use servers, so that a failure is tried again. A unit test has no excuse."""
    for item in items:
        if folder(item.nodeid) != "unit":
            item.add_marker(pytest.mark.flaky(reruns=1))


def folder(nodeid: str, depth: int = 1) -> str:
    """``stack/verify`` of ``tests/stack/verify/test_repair.py::test_x``, with `depth` 2."""
    parts = nodeid.partition("::")[0].split("/")
    return "/".join(parts[1 : min(1 + depth, len(parts) - 1)])


def log_tails(homes: Iterable[Path], since: float) -> list[tuple[str, str]]:
    """(title, last lines) of each log that was written to since then, a time as `time.time` gives it."""
    logs = [
        log for home in homes for log in sorted((home / "logs").glob("*.log")) if log.stat().st_mtime >= since
    ]
    return [(f"end of {log.parent.parent.name}/{log.name}", tail(log)) for log in logs]


def tail(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_LINES * 1000))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(line[:LOG_COLUMNS] for line in lines[-LOG_LINES:])


def flaky(stats: Stats) -> list[Report]:
    """The first failure of each test that passed when it was run again."""
    failed = {report.nodeid for name in ("failed", "error") for report in stats.get(name, ())}
    first = {
        report.nodeid: report for report in reversed(stats.get("rerun", ())) if report.nodeid not in failed
    }
    return list(reversed(first.values()))


def seconds_by_folder(stats: Stats) -> Counter[str]:
    seconds: Counter[str] = Counter()
    for report in (report for reports in stats.values() for report in reports if isinstance(report, Report)):
        seconds[folder(report.nodeid, 2)] += report.duration  # type: ignore[assignment]
    return seconds


def not_run(stats: Stats) -> list[str]:
    """A line for each reason to skip tests, and one for the variants of all tests that need a container
    engine."""
    reasons = Counter(
        report.longrepr[2] for report in stats.get("skipped", ()) if isinstance(report.longrepr, tuple)
    )
    lines = [f"{count} tests: {reason.removeprefix('Skipped: ')}" for reason, count in reasons.items()]
    command = lacking_container_command()
    if command is not None:
        lines.append(
            f"the tests against servers, on docker-compose.yml: there is no container engine, as `{command}` "
            "fails"
        )
    return lines


class RunReport:
    """A pytest plugin."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and folder(item.nodeid) != "unit":
            report.sections += log_tails(HOMES, call.start)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if (
            isinstance(reporter, TerminalReporter)
            and len(flaky(reporter.stats)) > MAX_FLAKY
            and not session.exitstatus
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        stats: Stats = terminalreporter.stats
        self._flaky(terminalreporter, flaky(stats))
        self._failed_twice(terminalreporter, stats)
        terminalreporter.section("seconds per folder")
        for name, seconds in seconds_by_folder(stats).most_common():
            terminalreporter.write_line(f"{seconds:8.1f}s {name}")
        for reason in not_run(stats):
            terminalreporter.write_line(f"NOT RUN: {reason}", yellow=True)

    @staticmethod
    def _failed_twice(terminal: TerminalReporter, stats: Stats) -> None:
        """The second failure may be the first one's consequence."""
        known = {report.nodeid for report in flaky(stats)}
        for report in stats.get("rerun", ()):
            if report.nodeid not in known:
                terminal.section(f"first failure of {report.nodeid}, in {report.when}", red=True)
                terminal.write_line(report.longreprtext[-3000:])

    @staticmethod
    def _flaky(terminal: TerminalReporter, reports: list[Report]) -> None:
        if not reports:
            return
        terminal.section("FLAKY: failed once, then passed", red=True, bold=True)
        for report in reports:
            terminal.write_line(f"FLAKY {report.nodeid}", yellow=True)
            terminal.write_line(f"  first in {report.when}: {report.longreprtext[-2000:]}")
            for title, text in report.sections:
                terminal.write_line(f"  --- {title}\n{text}")
            terminal.write_line("  then: passed")
        verdict = "the run fails" if len(reports) > MAX_FLAKY else "the run passes with them"
        terminal.write_line(f"{len(reports)} flaky, {MAX_FLAKY} allowed: {verdict}. Find the cause of each.")
