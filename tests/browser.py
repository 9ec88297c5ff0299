"""A real headless Chromium for tests of the supervisor's page, and what they read from it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import chromium

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
NO_BROWSER = "the page is not tested: there is no Chromium; `make test` fetches one"
SOON = 30_000
"""Milliseconds."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """No longer than a module: while it lives, so does an event loop, beside which `asyncio.run` refuses to
    run."""
    found = chromium.find()
    if found is None:
        if "CI" in os.environ:
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, **found.environment}
        chromium_browser = playwright.chromium.launch(
            executable_path=found.path, args=list(QUIET), env=environment
        )
        yield chromium_browser
        chromium_browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    browser_page = browser.new_page(viewport={"width": 1280, "height": 900})
    browser_page.set_default_timeout(SOON)
    expect.set_options(timeout=SOON)
    yield browser_page
    browser_page.close()


def opened(page: Page, address: str, bearer: str) -> Page:
    page.goto(f"{address}#token={bearer.removeprefix('Bearer ')}")
    return page


def badge(page: Page, state: str) -> None:
    expect(page.get_by_test_id("badge")).to_have_attribute("data-state", state)


def shows(page: Page, agent: int, state: str) -> None:
    expect(page.locator(f"[data-agent-id='{agent}']")).to_have_attribute("data-state", state)


def states(page: Page) -> dict[int, str]:
    """Agent -> state, of the rows that the page draws."""
    read = "rows => rows.map(row => [Number(row.dataset.agentId), row.dataset.state])"
    return {int(agent): str(state) for agent, state in page.locator("[data-agent-id]").evaluate_all(read)}


def tiles(page: Page) -> dict[int, dict[str, str]]:
    """Queue -> figure -> its text."""
    read = """tiles => tiles.map(tile => [Number(tile.dataset.queueId),
        Object.fromEntries([...tile.querySelectorAll('[data-figure]')]
            .map(each => [each.dataset.figure, each.textContent.trim()]))])"""
    return {
        int(queue): dict(figures) for queue, figures in page.locator("[data-queue-id]").evaluate_all(read)
    }


def rows(page: Page, cell: str) -> list[str]:
    """A cell of every row that the page draws, from the top down."""
    read = """(rows, cell) => rows
        .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
        .map(row => row.querySelector(cell).textContent.trim())"""
    return [str(text) for text in page.locator("[data-agent-id]").evaluate_all(read, f".{cell}")]
