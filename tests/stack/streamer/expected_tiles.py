"""The figures of the page's tiles, computed in Python from the rows in MySQL."""

from __future__ import annotations

import datetime as dt

from playwright.sync_api import Page

from tests import browser
from tests.stack.flink_jobs import reference
from tests.stack.flink_jobs.centre import utc_now
from tests.stack.flink_jobs.reference import World

SPANS = {"15 min": 15, "30 min": 30, "60 min": 60}
NOTHING = "–"


def agree(page: Page, world: World, span: str = "30 min") -> bool:
    read = browser.tiles(page)
    return all(
        figures.items() <= read.get(queue, {}).items() for queue, figures in tiles(world, span).items()
    )


def tiles(world: World, span: str = "30 min") -> dict[int, dict[str, str]]:
    """Queue -> figure -> its text, as of now; compare at once, as minutes leave the window."""
    begin = utc_now().replace(second=0, microsecond=0) - dt.timedelta(minutes=SPANS[span] - 1)
    minutes, now = reference.minutes(world), reference.stats(world)
    found = {}
    for queue, (waiting, _, served, *_) in now.items():
        rows = [sums for (number, minute), sums in minutes.items() if number == queue and minute >= begin]
        offered, answered, abandoned, short, _, within, *_ = (
            sum(column) for column in zip([0] * 8, *rows, strict=True)
        )
        found[queue] = {
            "waiting": str(waiting),
            "in-service": str(served),
            "offered": str(offered),
            "answered": str(answered),
            "abandoned": str(abandoned),
            "service-level": _rate(within, answered + abandoned - short),
            "abandon-rate": _rate(abandoned - short, answered + abandoned - short),
        }
    return found


def _rate(part: int, whole: int) -> str:
    """Half a percent is rounded up, as JavaScript does."""
    return NOTHING if whole <= 0 else f"{int(part / whole * 100 + 0.5)}% ({part}/{whole})"
