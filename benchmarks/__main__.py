"""``python -m benchmarks``: measures on the running local stack, prints a table, and writes
``benchmarks/results.json``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table as Shown

from benchmarks import end_to_end, footprint, live, live_tables, race
from core.errors import MisconfiguredError, SwitchboardError
from core.settings import Context
from switchboard import context as contexts
from switchboard import stack

RESULTS = Path(__file__).parent / "results.json"
MAX_ROWS = 10_000_000
PARTS = ("landing", "latency", "live", "memory", "start", "setup")


def main() -> int:
    """Exit status: 0 measured, 1 something was in the way."""
    warnings.simplefilter("ignore")
    chosen, console = _arguments(), Console(width=140 if not sys.stdout.isatty() else None)
    report = Console(stderr=True).print
    try:
        found = _measure(contexts.load(), chosen, report)
    except SwitchboardError as error:
        report(f"error: {error.what}\n  → {error.remedy}", markup=False)
        return 1
    for shown in _tables(found):
        console.print(shown)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows",
        type=int,
        action="append",
        help="records in the landing race, at most 10 million; may be repeated",
    )
    parser.add_argument("--rounds", type=int, default=2, help="rounds of the landing race")
    parser.add_argument("--rate", type=float, default=2000, help="changes a second for the latency")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="200,000 records, one round, 10 s of traffic, no start or set-up of a stack",
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    chosen = parser.parse_args()
    chosen.rows = chosen.rows or [1_000_000]
    if not all(200_000 <= rows <= MAX_ROWS for rows in chosen.rows):
        parser.error(f"--rows must be between 200,000 and {MAX_ROWS:,}")
    return chosen


def _measure(context: Context, chosen: argparse.Namespace, report: Callable[..., None]) -> dict[str, Any]:
    home, endpoints = context.settings.home, context.endpoints
    pids = {status.name: status.pid for status in stack.statuses(home) if status.pid}
    if "clickhouse" not in pids:
        raise MisconfiguredError("the stack is not up", "run `switchboard up`")
    parts = chosen.only or (PARTS[:-2] if chosen.quick else PARTS)
    found: dict[str, Any] = {"machine": _machine(), "load_before": os.getloadavg()[0]}
    if "memory" in parts:
        found["memory"] = footprint.memory(home)
    if "landing" in parts:
        found["landing"] = []
        for rows in [200_000] if chosen.quick else chosen.rows:
            rounds = 1 if chosen.quick else chosen.rounds
            laps = race.Race(endpoints, context.settings.control_database, pids["clickhouse"], rows).run(
                rounds, report
            )
            found["landing"].append(
                {"rows": rows, "laps": [asdict(lap) for lap in laps], "medians": race.medians(laps)}
            )
    if "latency" in parts:
        seconds = 10 if chosen.quick else 30
        found["latency"] = asdict(end_to_end.measure(endpoints, context.settings, chosen.rate, 10, seconds))
    if "live" in parts:
        found["live"] = live.measure(context, chosen.quick, report)
    if "start" in parts:
        found["start"] = footprint.warm_start(home / "artefacts")
    if "setup" in parts:
        found["setup"] = footprint.setting_up()
    return found


def _machine() -> dict[str, Any]:
    memory = psutil.virtual_memory().total / (1 << 30)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "python": platform.python_version(),
        "date": now,
    }


def _tables(found: dict[str, Any]) -> list[Shown]:
    shown = []
    if "landing" in found:
        shown += [_landing(item["rows"], item["medians"]) for item in found["landing"]]
    if "latency" in found:
        shown.append(_latency(found["latency"]))
    if "live" in found:
        shown += live_tables.tables(found["live"], _columns)
    if "memory" in found or "start" in found:
        shown.append(_parts(found.get("memory", {}), found.get("start", {})))
    if "setup" in found:
        shown.append(_columns("Setting up the servers", *(f"{name} s" for name in found["setup"])))
        shown[-1].add_row(*(f"{seconds:.1f}" for seconds in found["setup"].values()))
    return shown


def _columns(title: str, *names: str) -> Shown:
    shown = Shown(title=title)
    for index, name in enumerate(names):
        shown.add_column(name, justify="right" if index else "left")
    return shown


def _landing(rows: int, medians: dict[str, dict[str, float]]) -> Shown:
    shown = _columns(
        f"Landing a topic of {rows:,} records, medians",
        "way",
        "rows",
        "s",
        "rows/s",
        "rows/s steady",
        "this lander is",
        "Python CPU s",
        "ClickHouse CPU s",
        "peak MB",
    )
    for way, item in medians.items():
        python = [f"{item['python_cpu']:.1f}" if way != race.ENGINE else "-"]
        peak = f"{item['python_peak_mb']:.0f}" if way != race.ENGINE else "-"
        speeds = [f"{item['rows_per_second']:,.0f}", f"{item['steady']:,.0f}" if "steady" in item else "-"]
        times = "" if way == race.SWITCHBOARD_CONNECTOR else f"{item['ours_to_this']:.1f} times as fast"
        shown.add_row(
            way,
            f"{item['rows']:,.0f}",
            f"{item['seconds']:.1f}",
            *speeds,
            times,
            *python,
            f"{item['clickhouse_cpu']:.1f}",
            peak,
        )
    return shown


def _latency(lags: dict[str, Any]) -> Shown:
    title = (
        f"Commit to queryable: {lags['committed'] / lags['seconds']:,.0f} changes/s for {lags['seconds']} s"
    )
    shown = _columns(title, "table", "landed", "p50 ms", "p99 ms")
    for item in lags["tables"]:
        shown.add_row(item["table"], f"{item['landed']:,}", f"{item['p50_ms']:.0f}", f"{item['p99_ms']:.0f}")
    shown.add_section()
    shown.add_row("all", f"{lags['landed']:,}", f"{lags['p50_ms']:.0f}", f"{lags['p99_ms']:.0f}")
    return shown


def _parts(memory: dict[str, dict[str, float]], start: dict[str, float]) -> Shown:
    shown = _columns("The stack's parts", "part", "resident MB", "warm start s")
    for name in dict.fromkeys([*memory, *start]):
        resident = f"{memory[name]['rss_mb']:.0f}" if name in memory else "-"
        shown.add_row(name, resident, f"{start[name]:.1f}" if name in start else "-")
    return shown


if __name__ == "__main__":
    raise SystemExit(main())
