"""The supervisor's page in a real browser: what changes is shown, what stands still says so, and a keyboard
is enough."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from tests.browser import badge, opened, rows, shows, states
from tests.launching import ROOT
from tests.pipeline import Pipeline, eventually
from tests.stack.flink_jobs.centre import Centre
from tests.stack.flink_jobs.reference import World
from tests.stack.streamer import expected_tiles
from tests.stack.streamer.server import Server, streaming, token
from tests.stack.streamer.working_day import AGENTS, LONG_BREAK, QUEUES, WorkingDayCentre

SCREENS = ROOT / "docs" / "screens"
WIDTH = 390
"""A phone's, in CSS pixels."""
SCHEMES: dict[Literal["light", "dark"], str] = {"light": "page.png", "dark": "dark.png"}
# What a browser tells a page of a tab that is put behind others, and back in front.
SEEN = """seen => {
  Object.defineProperty(document, "hidden", { value: !seen, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
# An hour goes by on the wall's clock and none on the steady one; the badges shown from then on are noted.
SLEEP = """() => {
  const badge = document.querySelector("[data-testid=badge]"), wall = Date.now;
  window.badges = [];
  const observer = new MutationObserver(() => window.badges.push(badge.dataset.state));
  observer.observe(badge, { attributes: true, attributeFilter: ["data-state"] });
  Date.now = () => wall() + 3600e3;
}"""
READABLE = 4.5
"""The contrast that WCAG 2.2 asks of text, success criterion 1.4.3."""
# The least contrast of any text with what stands behind it: (lighter + 0.05) / (darker + 0.05) of the
# relative luminances.
CONTRAST = """() => {
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const part = (value) => linear(value / 255);
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) =>
    node ? [...behind(node.parentElement), getComputedStyle(node).backgroundColor] : ["white"];
  const hasText = (child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim();
  const own = (node) => [...node.childNodes].some(hasText);
  const seen = (node) => own(node) && node.checkVisibility() && !node.closest("[disabled]");
  const texts = [...document.querySelectorAll("body *")].filter(seen);
  return texts.map((node) => {
    const ground = behind(node);
    const text = [...ground, getComputedStyle(node).color];
    const lights = [luminance(over(ground)), luminance(over(text))].sort((a, b) => b - a);
    return { text: node.textContent.trim().slice(0, 30), ratio: (lights[0] + 0.05) / (lights[1] + 0.05) };
  }).sort((a, b) => a.ratio - b.ratio)[0];
}"""


def keep(page: Page, name: str) -> None:
    """Screenshots for the docs are written anew only where somebody asks for them."""
    if os.environ.get("UPDATE_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        page.screenshot(path=Path(SCREENS / name))


def test_a_change_of_state_is_shown(page: Page, server: Server, centre: Centre) -> None:
    agent = centre.agents[0]
    opened(page, server.page, token(centre.account))
    for state in ("break", "available"):
        centre.activity(agent, state)
        shows(page, agent, state)
    badge(page, "live")
    assert "token" not in page.url


def test_what_a_supervisor_sees_and_does_in_a_lively_centre(
    page: Page, server: Server, working_day: WorkingDayCentre
) -> None:
    opened(page, server.page, token(working_day.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(AGENTS))
    world = working_day.world()
    figures_are_right(page, world)
    expect(page.locator("[data-queue-id] svg path.answered")).to_have_count(len(QUEUES))
    expect(page.get_by_test_id("alert-counts")).to_contain_text(
        re.compile(r"[1-9]\d* critical.*[1-9]\d* warning")
    )
    somebody_minds_an_alert(page)
    page.get_by_role("button", name="60 min").click()
    thresholds_mark_who_is_long_in_a_state(page, working_day)
    for scheme, screen in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        least = page.evaluate(CONTRAST)
        assert least["ratio"] >= READABLE, least
        keep(page, screen)
    page.emulate_media(color_scheme="light")
    the_grid_is_sorted_grouped_and_filtered(page, world)
    a_timeline_agrees_with_the_grid(page, working_day)


def figures_are_right(page: Page, world: World) -> None:
    for span in expected_tiles.SPANS:
        page.get_by_role("button", name=span).click()
        eventually(partial(expected_tiles.agree, page, world, span))


def somebody_minds_an_alert(page: Page) -> None:
    alert = page.locator("[data-alert-id][data-level='warning']").filter(has_text="waiting")
    alert.get_by_role("button", name="Acknowledge").click()
    expect(alert).to_have_attribute("data-acknowledged", "true")
    expect(alert).to_contain_text("supervisor")


def thresholds_mark_who_is_long_in_a_state(page: Page, working_day: WorkingDayCentre) -> None:
    row = page.locator(f"[data-agent-id='{working_day.agents[6]}']")
    expect(row).to_have_attribute("data-level", "warning")
    page.get_by_role("button", name="Thresholds").click()
    page.get_by_label("Critical minutes for break").fill(str(LONG_BREAK - 1))
    page.get_by_role("button", name="Save").click()
    expect(row).to_have_attribute("data-level", "critical")


def the_grid_is_sorted_grouped_and_filtered(page: Page, world: World) -> None:
    by_name = sorted(name for name, _ in AGENTS)
    press = page.get_by_role("columnheader", name="Agent").get_by_role("button")
    for order in (by_name, by_name[::-1]):
        press.click()
        expect_rows(page, "name", order)
    page.get_by_role("button", name="Group by team").click()
    expect_rows(page, "team", sorted(team for _, team in AGENTS))
    page.get_by_role("button", name="Group by team").click()
    page.get_by_role("button", name=f"Show only the agents of {QUEUES[1][0]}").click()
    members = {row["agent_id"] for row in world.members if row["queue_id"] == world.queues[1]["queue_id"]}
    eventually(lambda: set(states(page)) == members)
    page.get_by_role("button", name="Show the agents of all queues").click()


def expect_rows(page: Page, cell: str, texts: list[str]) -> None:
    eventually(lambda: rows(page, cell) == texts)


def a_timeline_agrees_with_the_grid(page: Page, working_day: WorkingDayCentre) -> None:
    """Also where its state comes from a contact, and in the moment in which it changes."""
    ringing = working_day.agents[5]
    page.locator(f"[data-agent-id='{ringing}']").click()
    newest = page.get_by_test_id("timeline-states").locator("li").first
    expect(newest).to_have_attribute("data-state", "incoming")
    expect(
        page.get_by_test_id("timeline-contacts").locator("li").filter(has_text=QUEUES[3][0]).first
    ).to_contain_text("not answered yet")
    keep(page, "timeline.png")
    working_day.sql(
        "UPDATE interactions SET state = 'closed', ended_at = NOW(3) WHERE agent_id = %s AND state = "
        "'ringing'",
        ringing,
    )
    for state in ("break", "available"):
        working_day.activity(ringing, state)
    shows(page, ringing, "available")
    expect(newest).to_have_attribute("data-state", "available")
    expect(page.get_by_test_id("timeline-states").locator("li").nth(1)).to_have_attribute(
        "data-state", "break"
    )


def test_seven_tabs_of_one_browser_are_served_as_six_are_not_seen(
    browser: Browser, server: Server, centre: Centre
) -> None:
    context = browser.new_context()
    tabs = [opened(context.new_page(), server.page, token(centre.account)) for _ in range(6)]
    for tab in tabs:
        expect(tab.locator("[data-agent-id]")).to_have_count(len(centre.agents))
        tab.evaluate(SEEN, False)
    last = opened(context.new_page(), server.page, token(centre.account))
    shows(last, centre.agents[0], "offline")
    centre.activity(centre.agents[0], "break")
    shows(last, centre.agents[0], "break")
    badge(tabs[0], "reconnecting")
    shows(tabs[0], centre.agents[0], "offline")
    tabs[0].evaluate(SEEN, True)
    shows(tabs[0], centre.agents[0], "break")
    context.close()


def test_after_a_sleep_it_is_not_called_live_before_it_has_heard_again(
    page: Page, server: Server, centre: Centre
) -> None:
    opened(page, server.page, token(centre.account))
    centre.activity(centre.agents[0], "break")
    badge(page, "live")
    page.evaluate(SLEEP)
    badges = eventually(lambda: found if len(found := page.evaluate("window.badges")) > 1 else None)
    assert badges[0] == "reconnecting"
    assert badges[-1] != "reconnecting"


def test_a_link_takes_nobody_out_of_a_session_unasked(page: Page, server: Server, centre: Centre) -> None:
    opened(page, server.page, token(centre.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    other = token(centre.account + 500_000)
    opened(page, server.page, other)
    expect(page.get_by_test_id("offered")).to_contain_text(f"account {centre.account + 500_000}")
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    page.get_by_role("button", name="Stay signed in").click()
    expect(page.get_by_test_id("offered")).to_have_count(0)
    opened(page, server.page, other)
    page.get_by_role("button", name="Sign in by the link").click()
    expect(page.locator("[data-agent-id]")).to_have_count(0)
    badge(page, "stale")


def test_it_fits_a_phone(page: Page, server: Server, working_day: WorkingDayCentre) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 844})
    opened(page, server.page, token(working_day.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(AGENTS))
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for row in page.locator("[data-agent-id]").all():
        box = row.locator(".state").bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= WIDTH
    keep(page, "phone.png")


def test_an_idle_view_turns_stale_and_becomes_live_again(
    page: Page, server: Server, working_day: WorkingDayCentre
) -> None:
    opened(page, server.page, token(working_day.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(AGENTS))
    eventually(partial(expected_tiles.agree, page, working_day.world()))
    badge(page, "stale")
    expect(page.get_by_test_id("tile-stale")).to_have_count(len(QUEUES))
    keep(page, "stale.png")
    for _ in range(20):
        working_day.activity(working_day.agents[0], "break")
        working_day.activity(working_day.agents[0], "available")
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
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("timeline")).to_have_count(0)
