"""In a browser, pages fit narrow windows, are read in the dark and print, whatever strangers wrote."""

import pytest

from tests.support.chromium import OpenedPage, needs_chromium, opened
from tests.support.hostile_account import ODD, TASK, HostilePages

pytestmark = [needs_chromium, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

_FAINT = """() => {
  const parsed = (text) => {
    const [r, g, b, a = 1] = text.match(/[0-9.]+/g).map(Number);
    return text.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3])).concat(1);
  const behind = (each) => {
    const layers = [];
    for (let at = each; at; at = at.parentElement)
      layers.unshift(parsed(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (color) => {
    const [r, g, b] = color.map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    const isSeen = walker.currentNode.data.trim() && each.checkVisibility();
    if (!isSeen || each.closest("script, option, svg title")) continue;
    const style = getComputedStyle(each), ground = behind(each);
    const ink = over(parsed(each.closest("svg") ? style.fill : style.color), ground);
    const [dark, bright] = [light(ink), light(ground)].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.add(`${each.outerHTML.slice(0, 90)} ${contrast.toFixed(2)}`);
  }
  return [...found];
}"""
"""Returns the texts that do not stand out from what is behind them, by the formula of WCAG 2."""
_TOO_WIDE = """() => {
  const most = document.documentElement.clientWidth;
  const within = (each) => each.closest(".wide, .pan, .grid .stage, svg, dialog, select, .skip");
  return [...document.querySelectorAll("body, body *")]
    .filter((each) => !within(each) && each.checkVisibility())
    .filter((each) => each.getBoundingClientRect().right > most + 1)
    .map((each) => each.outerHTML.slice(0, 90))
    .concat(document.documentElement.scrollWidth > most ? ["the page scrolls"] : []);
}"""


def looked_at(shown: OpenedPage, pages: HostilePages, script: str) -> dict[str, list[str]]:
    """Return what a script finds on each page, its address first, where it finds anything."""
    found = {}
    for address in pages.addresses:
        shown.page.goto(pages.origin + address)
        if shown.page.locator("figure.chart script").count():
            shown.wait_for_charts()
        found[address] = shown.page.evaluate(script)
    return {address: texts for address, texts in found.items() if texts}


def test_every_page_fits_a_narrow_window(pages: HostilePages) -> None:
    """Nothing but tables goes beyond it, each within a place that scrolls by itself."""
    with opened(pages.origin, viewport={"width": 360, "height": 700}) as shown:
        assert looked_at(shown, pages, _TOO_WIDE) == {}


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(pages: HostilePages, media: str, scheme: str) -> None:
    """By a contrast of 4.5 at least, in charts too; on paper also for who has a dark screen."""
    with opened(pages.origin, color_scheme=scheme) as shown:
        shown.page.emulate_media(media=media)  # type: ignore[arg-type]
        assert looked_at(shown, pages, _FAINT) == {}
        ground = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (media == "print" or scheme == "light")


def test_a_printed_task_has_its_picture_its_shapes_and_every_annotation(pages: HostilePages) -> None:
    """And nothing that is only for hands: menus, filters, buttons."""
    with opened(f"{pages.origin}task/{TASK}", viewport={"width": 700, "height": 900}) as shown:
        shown.page.emulate_media(media="print")
        page = shown.page
        assert page.locator(".stage img").is_visible()
        assert all(shape.is_visible() for shape in page.locator("svg .shape").all())
        items = page.locator(".item")
        assert [item.is_visible() for item in items.all()] == [True] * (len(ODD) - 1)
        # None is cut off by a place that scrolls.
        last = items.last.bounding_box()
        side = page.locator(".side").bounding_box()
        assert last is not None
        assert side is not None
        assert last["y"] + last["height"] <= side["y"] + side["height"]
        for name in ("header", "footer", ".zoom", ".labels", ".turn"):
            assert not page.locator(name).first.is_visible()
        assert page.pdf()[:5] == b"%PDF-"


def test_printed_charts_have_their_tables(pages: HostilePages) -> None:
    """On paper nobody can open them; afterwards they are closed again."""
    with opened(pages.origin) as shown:
        shown.wait_for_charts()
        tables = shown.page.locator("figure.chart details")
        assert {table.get_attribute("open") for table in tables.all()} == {None}
        shown.page.evaluate(
            "addEventListener('beforeprint', () => { window.openAtPrint = document.querySelectorAll("
            "'figure.chart details[open]').length; })"
        )
        shown.page.pdf()
        assert shown.page.evaluate("window.openAtPrint") == tables.count() > 4
        assert {table.get_attribute("open") for table in tables.all()} == {None}
