"""In a browser, what strangers wrote stays text, and no page runs, reports or asks for anything of theirs."""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import pytest

from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.web.addresses import segment
from scalesync.web.app import NAMED_PAGES, PAGES
from tests.support import hostile_account
from tests.support.chromium import needs_chromium, opened
from tests.support.hostile_account import BATCH, LINES, NOTHING, PROJECT, SCRIPT, TASK, TEXT, TO_RUN, TURNED
from tests.support.sandboxes import StartSandbox
from tests.support.shown_account import counted, served
from tests.support.sync_env import sync

pytestmark = needs_chromium

_LINKS = """() => [...document.querySelectorAll("[href], [src], [action], [data-source]")].flatMap((each) =>
  ["href", "src", "action", "data-source"].map((name) => each.getAttribute(name)).filter((each) => each))"""
_UNBOUND = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (data.includes("\\u202e") && !parentElement.closest("bdi, pre, option, title, text, script, .text"))
      found.push(parentElement.outerHTML.slice(0, 200));
  }
  return found;
}"""
_LINES = """() => {
  document.querySelectorAll(".drawing, .zoom, .labels, .copy, noscript").forEach((each) => each.remove());
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  const text = document.body.innerText.replace(/\\b[0-9.]+ s\\b/g, "some seconds");
  return [...new Set(text.split("\\n").map((each) => each.trim()).filter((each) => each))];
}"""


_RUN = re.compile("javascript:|data:|vbscript:", re.IGNORECASE)


class Pages(NamedTuple):
    """The pages over the mirror of a hostile account."""

    origin: str
    pictures: str
    addresses: list[str]
    """Of every page, without the origin, in several forms where it has them."""


@pytest.fixture
def pages(database: Database, database_url: str, start_sandbox: StartSandbox) -> Iterator[Pages]:
    """Return the pages over an account of strangers and a common one, with commands that wait."""
    server = start_sandbox(tasks=40)
    hostile_account.fill(server)
    assert sync(server, database).complete
    hostile_account.queue(Mirror(database_url))
    project, batch = quote(PROJECT), segment(BATCH)
    statement = quote(f'SELECT label, count(*) AS "{SCRIPT}" FROM annotations GROUP BY label')
    addresses = [
        "", f"?project={project}", "tasks", "tasks?view=grid", f"tasks?project={project}&tags={SCRIPT}",
        f"task/{TASK}", f"task/{TEXT}?project={project}", f"task/{TO_RUN}", "labels",
        f"labels?project={project}", "batches", f"batches?project={project}", f"batches/{batch}", "queue",
        f"sql?q={statement}", "sql", f"sql?q={SCRIPT}", f"task/{project}", f"tasks?{project}={project}",
    ]  # fmt: skip
    names = {f"/{address.partition('?')[0]}" for address in addresses}
    assert set(PAGES) <= names
    assert not [start for start in NAMED_PAGES if not any(name.startswith(start) for name in names)]
    with served(database_url) as running:
        counted(running.url, "index.json", f"index.json?project={project}", f"labels.json?project={project}")
        media = server.backend.media_url
        yield Pages(running.url, f"{media}/", addresses)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_every_page_is_quiet(pages: Pages, scripts: bool) -> None:
    """No dialog, no error, nothing forbidden, no request but to the server and for the pictures."""
    with opened(pages.origin, java_script_enabled=scripts) as shown:
        for address in pages.addresses:
            del shown.messages[:], shown.requests[:]
            answer = shown.page.goto(pages.origin + address, wait_until="load")
            assert answer is not None
            # Of a page that is an error, a browser itself writes the status.
            said = [text for text in shown.messages if answer.ok or f"status of {answer.status}" not in text]
            assert (address, said, shown.dialogs) == (address, [], [])
            asked = [each for each in shown.requests if not each.startswith((pages.origin, pages.pictures))]
            assert (address, asked) == (address, [])
            led = [each for each in shown.page.evaluate(_LINKS) if _RUN.match(each)]
            assert (address, led) == (address, [])
            assert (address, shown.page.evaluate(_UNBOUND)) == (address, [])
            if scripts:
                assert (address, shown.violations()) == (address, [])


def test_what_strangers_wrote_is_read_as_they_wrote_it(pages: Pages) -> None:
    """Labels, names, instructions, values, texts."""
    with opened(f"{pages.origin}task/{TASK}") as shown:
        page = shown.page
        assert page.locator(".items b").all_text_contents()[:2] == [SCRIPT, PROJECT]
        whole = page.locator("body").text_content() or ""
        for text in (TURNED, LINES, hostile_account.INSTRUCTION, BATCH):
            assert text in whole
        assert "(100,000 characters)" in whole
        page.goto(f"{pages.origin}task/{TEXT}")
        text = page.locator(".text").text_content() or ""
        assert text.startswith(SCRIPT + PROJECT + TURNED)
        assert (
            page.evaluate("document.querySelectorAll('main script, main iframe, main img[onerror]').length")
            == 0
        )
        assert page.locator(".items > .shape").count() == len(hostile_account.ODD)
        assert NOTHING.replace("\x00", "") in whole.replace("\ufffd", "")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_scripts_all_that_is_text_is_there(pages: Pages) -> None:
    """Every line that a page has with them, but for what scripts do: zoom, hide, copy, draw."""
    lines: dict[bool, list[set[str]]] = {}
    for scripts in (True, False):
        with opened(pages.origin, java_script_enabled=scripts) as shown:
            lines[scripts] = []
            for address in pages.addresses:
                shown.page.goto(pages.origin + address)
                lines[scripts].append(set(shown.page.evaluate(_LINES)))
    for address, with_scripts, without in zip(pages.addresses, *lines.values(), strict=True):
        assert (address, with_scripts - without) == (address, set())
