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


def faults(shown: OpenedPage) -> list[tuple[str, list[str]]]:
    """Return what is too faint or too wide on the present page, by how it is looked at."""
    page = shown.page
    found = []
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print"), ("light", "print")):
        page.emulate_media(color_scheme=scheme, media=media)  # type: ignore[arg-type]
        found.append((f"{scheme} {media}", page.evaluate(_FAINT)))
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        if (ground == "rgb(255, 255, 255)") != (media == "print" or scheme == "light"):
            found.append((f"{scheme} {media}", [ground]))
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 360, "height": 700})
    found.append(("narrow", page.evaluate(_TOO_WIDE)))
    page.set_viewport_size({"width": 1100, "height": 700})
    return [each for each in found if each[1]]


def test_every_page_stands_out_and_fits_a_narrow_window(pages: HostilePages) -> None:
    """Every text has a contrast of 4.5 at least, in charts too, in the light, in the dark, and on paper.

    In a narrow window nothing but tables goes beyond it, each within a place that scrolls by itself.
    """
    with opened("about:blank", viewport={"width": 1100, "height": 700}) as shown:
        for address in pages.addresses:
            shown.page.goto(pages.origin + address)
            if shown.page.locator("figure.chart script").count():
                shown.wait_for_charts()
            assert (address, faults(shown)) == (address, [])


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
