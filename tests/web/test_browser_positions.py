"""In a browser, every box lies where its row says, within a pixel: zoomed, moved, narrow, on fine screens."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.sandbox import SandboxServer
from scalesync.sandbox.media import MEDIA, PAGE, PICTURE
from tests.support.chromium import OpenedPage, needs_chromium, opened
from tests.support.sandboxes import StartSandbox
from tests.support.shown_account import put, served
from tests.support.sync_env import sync

pytestmark = needs_chromium
of_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

Box = Mapping[str, float]
BOXES: list[Box] = [
    {"left": 100, "top": 200, "width": 300, "height": 100},
    {"left": 0, "top": 0, "width": 1920, "height": 1080},
    {"left": 1900, "top": 1070, "width": 20, "height": 10},
    {"left": 812.25, "top": 40.5, "width": 33.75, "height": 512.125},
    {"left": 600, "top": 700, "width": -200, "height": -300},
    {"left": 3, "top": 500, "width": 1, "height": 1},
]
_PLACES = """() => {
  const rectangle = (each) => {
    const found = each.getBoundingClientRect();
    return [found.x, found.y, found.width, found.height];
  };
  const picture = document.querySelector(".stage img:not(.layer)");
  const svg = document.querySelector(".stage svg");
  const sheet = picture && picture.getBoundingClientRect().width ? picture : svg;
  const shapes = {};
  for (const each of document.querySelectorAll("svg g:not(.off) > .shape"))
    shapes[each.dataset.ordinal] = rectangle(each);
  const viewBox = svg.getAttribute("viewBox");
  return { sheet: rectangle(sheet), isPicture: sheet === picture, viewBox, shapes };
}"""
_STILL = """() => new Promise((done) => {
  let last = "";
  const look = () => {
    const now = JSON.stringify(document.querySelector(".canvas").getBoundingClientRect());
    if (now === last) done();
    last = now;
    setTimeout(look, 60);
  };
  look();
})"""
_PAN = """() => {
  const r = document.querySelector(".pan").getBoundingClientRect();
  return [r.x, r.y, r.width, r.height];
}"""
_THUMBNAILS = """() => {
  const rectangle = (each) => {
    const found = each.getBoundingClientRect();
    return [found.x, found.y, found.width, found.height];
  };
  return [...document.querySelectorAll(".grid li")].filter((each) => each.querySelector(".stage:not(.blank)"))
    .map((each) => [each.querySelector("b").textContent, rectangle(each.querySelector("img")),
      [...each.querySelectorAll("svg .drawn")].map(rectangle)]);
}"""
_ALL_LOADED = """(number) => [...document.querySelectorAll(".grid img")]
  .filter((each) => each.complete && each.naturalWidth).length === number
  && document.querySelectorAll(".stage.blank img").length === 1"""
_HAS_LOADED = """(name) => {
  const picture = document.querySelector(".stage img");
  return picture.src.endsWith(name) && picture.complete && picture.naturalWidth > 0;
}"""


TALL: Box = {"left": 10, "top": 10, "width": 100, "height": 3000}
WIDE = {"width": 1300, "height": 900}
FRAMES = "f" * 24


@pytest.fixture
def server(database: Database, start_sandbox: StartSandbox) -> SandboxServer:
    """Return a sandbox that serves the pictures of the tasks in the mirror."""
    server = start_sandbox()
    drawn = [{"type": "box", "label": f"b{number}", **box} for number, box in enumerate(BOXES)]
    for name, picture in {"a": f"{MEDIA}/pictures/a.png", "b": f"{MEDIA}/nothing.png", "c": "s3://c"}.items():
        put(server, task_id=name * 24, type="imageannotation",
            params={"attachment": picture}, response={"annotations": drawn})  # fmt: skip
    files = [f"{MEDIA}/pages/p-{number}.png" for number in range(3)]
    put(server, task_id="d" * 24, type="imageannotation",
        params={}, response={"annotations": [{"type": "box", **TALL}]})  # fmt: skip
    # Each page has the boxes that fit, the second has them moved.
    found = [
        {"uuid": f"{number}-{n}", "label": "b", "page": number,
         "location": {"type": "box", **box, "left": box["left"] / 3 + number}}
        for number in range(2) for n, box in enumerate(BOXES)
    ]  # fmt: skip
    put(server, task_id=FRAMES, type="documenttranscription",
        params={"attachments": files}, response={"annotations": found})  # fmt: skip
    assert sync(server, database).complete
    return server


@pytest.fixture
def pages(server: SandboxServer, database_url: str) -> Iterator[str]:  # noqa: ARG001 - fills the mirror
    """Return the address of the pages of these tasks."""
    with served(database_url) as running:
        yield f"{running.url}task/"


def check_places(
    shown: OpenedPage, boxes: Sequence[Box], size: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Hold shapes to the places of the boxes, and return the sheet's corner.

    `size` is the picture's; None: there must be a grey sheet instead, as large as its own numbers say.
    """
    shown.page.evaluate(_STILL)
    found: dict[str, Any] = shown.page.evaluate(_PLACES)
    left, top, width, height = found["sheet"]
    own = [float(each) for each in found["viewBox"].split()]
    assert (found["isPicture"], own[:2]) == (size is not None, [0, 0])
    across, down = width / (size or own[2:])[0], height / (size or own[2:])[1]
    assert across == pytest.approx(down, rel=0.005)
    shapes = [found["shapes"][number] for number in sorted(found["shapes"], key=int)]
    wanted = []
    for box in boxes:
        x, y = (min(box[at], box[at] + box[side]) for at, side in (("left", "width"), ("top", "height")))
        corner = left + x * across, top + y * down
        wanted.append([*corner, abs(box["width"]) * across, abs(box["height"]) * down])
    assert shapes == [pytest.approx(each, abs=1) for each in wanted]
    return left, top


@of_sqlite
@pytest.mark.parametrize("known", [True, False], ids=["known size", "natural size"])
@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_lie_where_their_rows_say(
    server: SandboxServer, pages: str, database_url: str, known: bool, scale: int
) -> None:
    """Before and behind zoom, moved, and in a window that becomes narrow; on a fine screen too."""
    if known:
        rows = Mirror(database_url, api_url=server.url)
        rows.fetch_attachments(allow_private=True)
        sizes = {row["url"]: (row["width"], row["height"]) for row in rows.sql("SELECT * FROM attachments")}
        assert sizes[f"{server.backend.media_url}/pictures/a.png"] == PICTURE
    with opened(pages + "a" * 24, viewport=WIDE, device_scale_factor=scale) as shown:
        shown.page.wait_for_load_state()
        before = check_places(shown, BOXES, PICTURE)
        for _ in range(2):
            shown.page.locator("[data-zoom=in]").click()
        assert check_places(shown, BOXES, PICTURE) < before
        drag(shown)
        moved = check_places(shown, BOXES, PICTURE)
        shown.page.set_viewport_size({"width": 500, "height": 900})
        assert check_places(shown, BOXES, PICTURE) != moved
        shown.page.locator("[data-zoom=reset]").click()
        assert check_places(shown, BOXES, PICTURE)[0] < before[0]
        assert shown.messages == []


@of_sqlite
def test_thumbnails_have_their_boxes_at_their_places(pages: str) -> None:
    """Of wide and of high pictures, each shown as a whole."""
    with opened(pages.replace("task/", "tasks?view=grid"), viewport=WIDE) as shown:
        shown.page.wait_for_function(_ALL_LOADED, arg=2)
        found = {name: (sheet, shapes) for name, sheet, shapes in shown.page.evaluate(_THUMBNAILS)}
    assert set(found) == {"a" * 24, FRAMES}
    first_page = [{**box, "left": box["left"] / 3} for box in BOXES]
    for name, boxes, size in (("a" * 24, BOXES, PICTURE), (FRAMES, first_page, PAGE)):
        sheet, shapes = found[name]
        scale = min(sheet[2] / size[0], sheet[3] / size[1])
        left, top = (sheet[n] + (sheet[n + 2] - size[n] * scale) / 2 for n in (0, 1))
        for box, shape in zip(boxes, shapes, strict=True):
            x, y = min(box["left"], box["left"] + box["width"]), min(box["top"], box["top"] + box["height"])
            assert shape[:2] == pytest.approx([left + x * scale, top + y * scale], abs=1)
            assert shape[2:] == pytest.approx([abs(box[n]) * scale for n in ("width", "height")], abs=1)


def drag(shown: OpenedPage) -> None:
    """Move what is shown to the right and down."""
    left, top, width, height = shown.page.evaluate(_PAN)
    at = left + width / 2, top + height / 2
    shown.page.mouse.move(*at)
    shown.page.mouse.down()
    shown.page.mouse.move(at[0] + 70, at[1] + 30, steps=3)
    shown.page.mouse.up()


@pytest.mark.parametrize("name", ["b", "c"], ids=["not loaded", "not to be loaded"])
def test_without_the_picture_they_lie_on_a_grey_sheet(pages: str, name: str) -> None:
    """Which keeps its proportions, and says why there is no picture."""
    with opened(pages + name * 24, viewport=WIDE) as shown:
        shown.page.wait_for_load_state()
        shown.page.locator(".stage.blank").wait_for()
        check_places(shown, BOXES)
        shown.page.locator("[data-zoom=in]").click()
        check_places(shown, BOXES)
        shown.page.set_viewport_size({"width": 400, "height": 500})
        check_places(shown, BOXES)
        said = shown.page.locator("figcaption").inner_text()
        assert ("cannot be loaded" in said, "browser cannot open" in said) == (name == "b", name == "c")
        shown.page.goto(pages + "d" * 24)
        check_places(shown, [TALL])


@of_sqlite
def test_a_picture_of_known_size_that_does_not_load(
    server: SandboxServer, pages: str, database_url: str
) -> None:
    """Has a sheet of its size."""
    Mirror(database_url, api_url=server.url).fetch_attachments(allow_private=True)
    with opened("about:blank", viewport=WIDE) as shown:
        shown.page.route("**/media/**", lambda route: route.abort())
        shown.page.goto(pages + "a" * 24)
        shown.page.locator(".stage.blank").wait_for()
        assert shown.page.locator(".stage svg").get_attribute("viewBox") == "0 0 1920 1080"
        check_places(shown, BOXES)


def test_each_page_of_a_document_has_its_own(pages: str) -> None:
    """Also when the slider goes to the next page, whose picture is another."""
    with opened(pages + FRAMES, viewport=WIDE) as shown:
        for number in range(2):
            if number:
                shown.page.locator(".frames input[type=range]").press("ArrowRight")
            source = f"p-{number}.png"
            shown.page.wait_for_function(_HAS_LOADED, arg=source)
            moved = [{**box, "left": box["left"] / 3 + number} for box in BOXES]
            check_places(shown, moved, PAGE)
            assert shown.page.url.endswith(f"frame={number}" if number else FRAMES)
