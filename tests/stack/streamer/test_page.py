"""The supervisor's page in a real browser: what changes is shown, what stands still says so, and a keyboard is enough."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser import badge, opened, shows
from tests.pipeline import ROOT, Pipeline
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer.serving import Server, streaming, token

SCREENS = ROOT / "docs" / "screens"
WIDTH = 390
"""A phone's, in CSS pixels."""
READABLE = 4.5
"""The contrast that WCAG 2.2 asks of text, success criterion 1.4.3."""
# The least contrast of any text with what stands behind it: (lighter + 0.05) / (darker + 0.05) of the relative luminances.
CONTRAST = """() => {
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const part = (value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) => node ? [...behind(node.parentElement), getComputedStyle(node).backgroundColor] : ["white"];
  const own = (node) => [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim());
  const seen = (node) => own(node) && node.checkVisibility() && !node.closest("[disabled]");
  const texts = [...document.querySelectorAll("body *")].filter(seen);
  return texts.map((node) => {
    const ground = behind(node);
    const lights = [luminance(over(ground)), luminance(over([...ground, getComputedStyle(node).color]))].sort((a, b) => b - a);
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
    centre.work(60)
    opened(page, server.page, token(centre.account))
    for state in ("break", "available"):
        centre.activity(agent, "offline")
        centre.activity(agent, state)
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    expect(page.locator("[data-queue-id]")).to_have_count(len(centre.queues))
    badge(page, "live")
    expect(page.locator("[data-figure='occupancy']").first).to_have_text(re.compile(r"\d+%"))
    assert "token" not in page.url


@pytest.mark.parametrize(("scheme", "screen"), [("light", "page.png"), ("dark", "dark.png")])
def test_every_text_stands_out(page: Page, server: Server, centre: Centre, scheme: Literal["light", "dark"], screen: str) -> None:
    centre.work(60)
    page.emulate_media(color_scheme=scheme)
    opened(page, server.page, token(centre.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    least = page.evaluate(CONTRAST)
    assert least["ratio"] >= READABLE, least
    keep(page, screen)


def test_it_fits_a_phone(page: Page, server: Server, centre: Centre) -> None:
    centre.work(40)
    page.set_viewport_size({"width": WIDTH, "height": 844})
    opened(page, server.page, token(centre.account))
    expect(page.locator("[data-agent-id]")).to_have_count(len(centre.agents))
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for row in page.locator("[data-agent-id]").all():
        box = row.locator(".state").bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= WIDTH
    keep(page, "phone.png")


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
    for state in ("available", "break", "available", "after-contact work", "available"):
        centre.activity(centre.agents[0], state)
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
