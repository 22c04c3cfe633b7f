"""In a browser, what strangers wrote stays text, and no page runs, reports or asks for anything of theirs."""

import re

import pytest

from tests.support import hostile_account
from tests.support.chromium import needs_chromium, opened
from tests.support.hostile_account import (
    BATCH,
    LINES,
    NOTHING,
    PROJECT,
    SCRIPT,
    TASK,
    TEXT,
    TURNED,
    HostilePages,
)

pytestmark = needs_chromium
of_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

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


@pytest.mark.parametrize(
    ("database_url", "scripts"),
    [("sqlite", True), ("sqlite", False), ("postgres", True)],
    indirect=["database_url"],
)
def test_every_page_is_quiet(pages: HostilePages, scripts: bool) -> None:
    """No dialog, no error, nothing forbidden, no request but to the server and for the pictures."""
    with opened(pages.origin, java_script_enabled=scripts) as shown:
        errors = []
        for address in pages.addresses:
            del shown.messages[:], shown.requests[:]
            answer = shown.page.goto(pages.origin + address, wait_until="load")
            assert answer is not None
            errors += [] if answer.ok else [address.partition("?")[0].partition("/")[0]]
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
        assert errors == ["sql", "task", "tasks"]


@of_sqlite
def test_what_strangers_wrote_is_read_as_they_wrote_it(pages: HostilePages) -> None:
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


@of_sqlite
def test_without_scripts_all_that_is_text_is_there(pages: HostilePages) -> None:
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
