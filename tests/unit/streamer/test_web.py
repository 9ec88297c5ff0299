"""The page's files, as a browser and as an attacker ask for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamer.web import HEADERS, Site


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(site: Site, path: str, method: str = "GET", scheme: str = "http", **headers: str) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()  # the browser stays
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "scheme": scheme,
        "headers": given,
        "query_string": b"",
    }
    asyncio.run(site(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, body)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    page = tmp_path / "dist"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<html>")
    (page / "assets" / "page.js").write_text("let a")
    (tmp_path / "secret").write_text("a secret")
    (page / "assets" / "link").symlink_to(tmp_path / "secret")
    return Site(page=page)


def test_the_page_and_its_files_are_served_with_their_types_and_the_headers(site: Site) -> None:
    page, script = ask(site, "/"), ask(site, "/assets/page.js")
    assert (page.status, page.body, page.headers["content-type"]) == (
        200,
        b"<html>",
        "text/html; charset=utf-8",
    )
    assert (script.status, script.body) == (200, b"let a")
    assert "javascript" in script.headers["content-type"]
    for answer in (page, script, ask(site, "/nothing")):
        assert answer.headers.items() >= HEADERS.items()


@pytest.mark.parametrize(
    "path", ["/nothing", "/../secret", "/assets/../../secret", "//etc/passwd", "/assets/link", "/assets"]
)
def test_nothing_else_is_served(site: Site, path: str) -> None:
    answer = ask(site, path)
    assert (answer.status, answer.body) == (404, b"Not found\n")


def test_a_file_that_the_browser_has_is_not_sent_again(site: Site) -> None:
    etag = ask(site, "/").headers["etag"]
    again = ask(site, "/", if_none_match=etag)
    assert (again.status, again.body) == (304, b"")


def test_only_reading_is_allowed(site: Site) -> None:
    assert ask(site, "/", "HEAD").body == b""
    assert ask(site, "/", "POST").status == 405


def test_browsers_are_kept_to_tls_by_tls_only(site: Site) -> None:
    assert "strict-transport-security" not in ask(site, "/").headers
    assert ask(site, "/", scheme="https").headers["strict-transport-security"] == "max-age=31536000"


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    answer = ask(Site(page=tmp_path / "missing"), "/")
    assert (answer.status, answer.body) == (404, b"The page is not built: run `make page`.\n")
