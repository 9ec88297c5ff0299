"""The measurements of `benchmarks.live` as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.table import Table as Shown

from core.settings import SAMPLE_JOBS
from flink_jobs.job_list import load_jobs

Columns = Callable[..., Shown]
MIN_CORES = 0.02
"""Processes that use less are left out."""


def tables(found: dict[str, Any], columns: Columns) -> list[Shown]:
    """Returns the tables of what `measure` found; `columns` makes a table of a title and its columns."""
    pixels = found["pixels"]
    return [
        _pixels(pixels, columns),
        _cpu(pixels["cores"], columns),
        _streams(found["fan_out"], columns),
        _frames(found["frames"], columns),
        _queries(found["queries"], columns),
        _jobs(found["jobs"], columns),
        _state(found["state"], columns),
    ]


def _pixels(pixels: dict[str, Any], columns: Columns) -> Shown:
    title = f"An event to the pixel, {pixels['changes_per_second']:.0f} changes/s, {pixels['events']} events"
    shown = columns(title, "from", "p50 ms", "p99 ms")
    for name, words in (("from_kafka", "its record in Kafka"), ("from_commit", "its commit in MySQL")):
        shown.add_row(words, f"{pixels[f'{name}_p50_ms']:.0f}", f"{pixels[f'{name}_p99_ms']:.0f}")
    return shown


def _cpu(cores: dict[str, float], columns: Columns) -> Shown:
    shown = columns("CPU use per process during the run", "process", "cores")
    for name, used in cores.items():
        if used >= MIN_CORES:
            shown.add_row(name, f"{used:.2f}")
    return shown


def _streams(fan_out: dict[str, Any], columns: Columns) -> Shown:
    title = f"{fan_out['streams']:,} streams for {fan_out['seconds']:.0f} s"
    shown = columns(title, "messages", "added p50 ms", "added p99 ms", "streamer MB", "cores")
    numbers = (fan_out["added_p50_ms"], fan_out["added_p99_ms"], fan_out["streamer_mb"])
    share = f"{fan_out['streamer_cpu_share']:.2f}"
    shown.add_row(f"{fan_out['messages']:,}", *(f"{number:.0f}" for number in numbers), share)
    return shown


def _frames(frames: dict[str, Any], columns: Columns) -> Shown:
    title = f"The page, {frames['agents']:,} agents, {frames['changes_per_second']:.0f} changes/s"
    shown = columns(title, "between frames p50 ms", "p99 ms", "longest ms", "p99 ms at rest")
    names = ("frame_p50_ms", "frame_p99_ms", "longest_ms", "idle_p99_ms")
    shown.add_row(*(f"{frames[name]:.0f}" for name in names))
    return shown


def _queries(queries: list[dict[str, Any]], columns: Columns) -> Shown:
    title = "The same rows to one client, best of three"
    shown = columns(title, "way", "rows", "s", "first byte ms", "rows/s", "Arrow is")
    best = queries[0]["rows_per_second"]
    for item in queries:
        speed = item["rows_per_second"]
        shown.add_row(
            item["way"],
            f"{item['rows']:,}",
            f"{item['seconds']:.2f}",
            f"{item['first_byte_ms']:.0f}",
            f"{speed:,.0f}",
            f"{best / speed:.1f} times as fast" if "Arrow" not in item["way"] else "",
        )
    return shown


def _jobs(jobs: list[dict[str, Any]], columns: Columns) -> Shown:
    shown = columns("Replaying a job's topics", "job", "records", "s", "records/s", "records/s per core")
    for item in jobs:
        numbers = (item[name] for name in ("records", "seconds", "per_second", "per_core"))
        shown.add_row(item["job"], *(f"{number:,.0f}" for number in numbers))
    return shown


def _state(states: list[dict[str, Any]], columns: Columns) -> Shown:
    title = f"State: {states[0]['contacts']:,} contacts, {states[0]['agents']:,} agents"
    shown = columns(title, "job", "bytes", "bytes per contact", "bytes per agent")
    known = load_jobs(SAMPLE_JOBS)
    for item in states:
        reads = known[item["job"]].reads
        sizes = (
            item["per_contact"] if "interactions" in reads else None,
            item["per_agent"] if "agent_activity" in reads else None,
        )
        texts = ("-" if size is None else f"{size:,.0f}" for size in sizes)
        shown.add_row(item["job"], f"{item['state_bytes']:,}", *texts)
    return shown
