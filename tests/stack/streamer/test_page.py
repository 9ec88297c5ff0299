"""The supervisor's page in a real browser: what changes is shown, what stands still says so, and a keyboard is enough."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import badge, opened, shows
from tests.pipeline import ROOT, Pipeline
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer.serving import Server, streaming, token

SCREENS = ROOT / "docs" / "screens"


def keep(page: Page, name: str) -> None:
    """Screenshots for the docs are written anew only where somebody asks for them."""
    if os.environ.get("UPDATE_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        page.screenshot(path=Path(SCREENS / name))


def test_a_change_of_state_is_shown(page: Page, server: Server, centre: Centre) -> None:
    agent = centre.agents[0]
    centre.work(60)
    opened(page, server.page, token(centre.account))
    for state in ("break", "available"):
        centre.activity(agent, "offline")
        centre.activity(agent, state)
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    expect(page.locator("[data-queue-id]")).to_have_count(len(centre.queues))
    badge(page, "live")
    keep(page, "page.png")
    assert "token" not in page.url


def test_what_stands_still_turns_stale_and_comes_alive_again(page: Page, server: Server, centre: Centre) -> None:
    opened(page, server.page, token(centre.account))
    badge(page, "stale")
    keep(page, "stale.png")
    for _ in range(20):
        centre.activity(centre.agents[0], "break")
        centre.activity(centre.agents[0], "available")
        if page.get_by_test_id("badge").get_attribute("data-state") == "live":
            break
        page.wait_for_timeout(200)
    badge(page, "live")


def test_it_recovers_by_itself_from_a_killed_streamer(page: Page, centre: Centre, pipeline: Pipeline) -> None:
    agent = centre.agents[1]
    with streaming(pipeline) as first:
        opened(page, first.page, token(centre.account))
        shows(page, agent, "offline")
        first.process.kill()
        first.process.wait()
        badge(page, "reconnecting")
        shows(page, agent, "offline")
    centre.activity(agent, "break")
    with streaming(pipeline, port=int(first.page.rstrip("/").rpartition(":")[2])):
        shows(page, agent, "break")


def test_another_tenant_sees_none_of_it(page: Page, server: Server, centre: Centre) -> None:
    opened(page, server.page, token(centre.account + 500_000))
    expect(page.get_by_test_id("agents")).to_be_visible()
    badge(page, "stale")
    expect(page.locator("[data-agent-id]")).to_have_count(0)


def test_a_token_that_ends_signs_out(page: Page, server: Server, centre: Centre) -> None:
    opened(page, server.page, token(centre.account, minutes=3 / 60))
    badge(page, "signed-out")


def test_a_keyboard_is_enough(page: Page, server: Server, centre: Centre) -> None:
    opened(page, server.page, token(centre.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    page.keyboard.press("/")
    expect(page.get_by_test_id("filter")).to_be_focused()
    page.keyboard.type(f"Agent {centre.agents[2]}")
    expect(page.locator("[data-agent-id]")).to_have_count(1)
    page.get_by_test_id("filter").fill("")
    page.locator("[data-agent-id]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("timeline")).to_be_visible()
    expect(page.get_by_test_id("timeline")).not_to_contain_text("Reading")
    keep(page, "timeline.png")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("timeline")).to_have_count(0)
