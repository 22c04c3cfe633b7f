"""The whole way through the pages is open to who has only a keyboard, and the focus is always seen."""

from collections.abc import Iterator
from typing import Any

import pytest

from scalesync.db.database import Database
from scalesync.sandbox.media import MEDIA
from tests.support.chromium import OpenedPage, needs_chromium, opened
from tests.support.sandboxes import StartSandbox
from tests.support.shown_account import put, served
from tests.support.sync_env import sync

pytestmark = needs_chromium

PROJECT = "Street & scenes"
_FOCUSED = """() => {
  const each = document.activeElement, style = getComputedStyle(each), place = each.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const on_screen = place.bottom > 0 && place.right > 0 && place.top < innerHeight && place.left < innerWidth;
  const text = (each.innerText || each.getAttribute("aria-label") || "").trim();
  return { tag: each.tagName.toLowerCase(), id: each.id, text, visible: outlined && on_screen };
}"""


@pytest.fixture
def shown(database: Database, database_url: str, start_sandbox: StartSandbox) -> Iterator[OpenedPage]:
    """Return the first page of a mirror with five tasks about pictures in a project, and one in another."""
    server = start_sandbox()
    boxes = [
        {"type": "box", "label": label, "left": 100 * n, "top": 100, "width": 80, "height": 90}
        for n, label in enumerate(("car", "bus", "car"))
    ]
    for number in range(6):
        put(server, task_id=f"{number}" * 24, type="imageannotation",
            created_at=f"2026-01-0{number + 1}T00:00:00.000Z",
            project=PROJECT if number != 3 else "Another", response={"annotations": boxes},
            params={"attachment": f"{MEDIA}/pictures/{number}.png"})  # fmt: skip
    assert sync(server, database).complete
    with served(database_url) as pages, opened(pages.url) as page:
        yield page
        assert (page.messages, page.dialogs) == ([], [])


def focused(shown: OpenedPage) -> dict[str, Any]:
    """Return what has the focus, which must be seen."""
    found: dict[str, Any] = shown.page.evaluate(_FOCUSED)
    # The content as a whole has it behind the menu, and the page behind its end: neither is one thing on it.
    assert found["visible"] or found["tag"] in ("main", "body"), found
    return found


def press(shown: OpenedPage, key: str) -> dict[str, Any]:
    """Press a key, and return what has the focus then."""
    shown.page.keyboard.press(key)
    return focused(shown)


def tab_to(shown: OpenedPage, text: str, tag: str = "") -> None:
    """Press Tab until what has the focus begins with a text."""
    for _ in range(60):
        found = press(shown, "Tab")
        if found["text"].startswith(text) and found["tag"].startswith(tag):
            return
    pytest.fail(f"No Tab leads to {text}.")


def enter(shown: OpenedPage) -> str:
    """Press Enter on a link or a button that leads elsewhere, and return the new address without its host."""
    with shown.page.expect_navigation():
        shown.page.keyboard.press("Enter")
    return shown.page.url.partition("//")[2].partition("/")[2]


def go(shown: OpenedPage, key: str) -> str:
    """Press a key that leads elsewhere, and return the first digit of the task there."""
    with shown.page.expect_navigation():
        shown.page.keyboard.press(key)
    assert "project=Street+%26+scenes" in shown.page.url
    return shown.page.url.partition("/task/")[2][:1]


def test_the_first_tab_goes_past_the_menu(shown: OpenedPage) -> None:
    """The link for it is seen as soon as it has the focus."""
    assert press(shown, "Tab")["text"] == "Skip to the content"
    shown.page.keyboard.press("Enter")
    assert focused(shown)["tag"] == "main"
    press(shown, "Tab")
    assert shown.page.evaluate("document.getElementById('main').contains(document.activeElement)")


def test_from_the_first_page_to_a_document_and_back(shown: OpenedPage) -> None:
    """By filter, task, next and previous, annotations, labels, zoom and the raw document."""
    tab_to(shown, "Tasks", "a")
    assert enter(shown) == "tasks"
    assert press(shown, "/")["tag"] == "input"
    shown.page.keyboard.type(PROJECT)
    tab_to(shown, "Filter", "button")
    assert enter(shown).startswith("tasks?project=Street+%26+scenes")
    assert shown.page.locator("tbody tr").count() == 5
    tab_to(shown, "4" * 24, "a")
    enter(shown)

    assert [go(shown, key) for key in ("ArrowRight", "ArrowLeft", "ArrowRight", "ArrowRight")] == list("2421")

    assert [press(shown, key)["id"] for key in "jjk"] == ["a0", "a1", "a0"]
    assert shown.page.locator("svg .hot").count() == 1
    check_labels(shown)
    check_zoom(shown)
    press(shown, "?")
    assert shown.page.locator("dialog").is_visible()
    press(shown, "Escape")
    assert not shown.page.locator("dialog").is_visible()

    tab_to(shown, "The document as the API sent it", "summary")
    assert not shown.page.locator("pre").is_visible()
    press(shown, "Enter")
    assert press(shown, "Tab")["text"].startswith("{")
    # From the end of the page the focus begins again at its top.
    tab_to(shown, "list with these filters", "a")
    assert enter(shown).startswith("tasks?project=Street+%26+scenes")
    assert shown.page.locator("tbody tr").count() == 5


def check_labels(shown: OpenedPage) -> None:
    """Hide the first label by its checkbox, and show it again."""
    press(shown, "Shift+Tab")
    press(shown, "Shift+Tab")
    seen = []
    for _ in range(2):
        press(shown, " ")
        seen.append([shape.is_visible() for shape in shown.page.locator("svg .shape").all()])
    assert seen == [[True, False, True], [True, True, True]]


def check_zoom(shown: OpenedPage) -> None:
    """Make the picture larger and smaller by keys, also while a checkbox has the focus."""
    widths = [width(shown)]
    for key in ("+", "+", "-", "0"):
        press(shown, key)
        shown.page.wait_for_timeout(400)
        widths.append(width(shown))
    assert widths[0] < widths[1] < widths[2]
    assert widths[3] == pytest.approx(widths[1], abs=1)
    assert widths[4] == pytest.approx(widths[0], abs=1)


def width(shown: OpenedPage) -> float:
    """Return how wide the picture is."""
    found: float = shown.page.evaluate("document.querySelector('.stage img').getBoundingClientRect().width")
    return found
