"""Photograph every page of a common account; those in the documentation are made so.

`SCALESYNC_SCREENSHOTS=1 pytest tests/web/test_browser_pictures.py` writes them to `scalesync/docs/pictures`.
"""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.models.commands import CommandState
from scalesync.web.addresses import segment
from tests.readme import ROOT, TEXT
from tests.support.chromium import OpenedPage, needs_chromium, opened
from tests.support.commands import change
from tests.support.file_server import fetch
from tests.support.sandboxes import StartSandbox
from tests.support.shown_account import counted, served
from tests.support.sync_env import KEY, sync

pytestmark = [needs_chromium, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

KEPT = ROOT / "scalesync" / "docs" / "pictures"
WIDTH, HEIGHT = 1100, 760
HEIGHTS = {"overview": 1500}
"""Of those that need more."""
SHOWN = set(re.findall(r"!\[[^]]+\]\(pictures/(\w+)\.png\)", TEXT))
"""Those in the documentation."""
COLORS = 64
MOST_BYTES = 150_000
_OF_TYPE = (
    "SELECT t.task_id AS id FROM tasks t JOIN annotations a ON a.task_id = t.task_id"
    " WHERE t.type = '{}' GROUP BY t.task_id ORDER BY count(*) DESC, t.task_id LIMIT 1"
)
_STATEMENT = "SELECT status, count(*) AS tasks FROM tasks GROUP BY status ORDER BY tasks DESC"


@pytest.fixture
def pages(database: Database, database_url: str, start_sandbox: StartSandbox) -> Iterator[dict[str, str]]:
    """Return the address of each page by the name of its picture."""
    server, mirror = start_sandbox(tasks=600), Mirror(database_url)
    assert sync(server, database).complete
    of_type = {
        name: next(iter(mirror.sql(_OF_TYPE.format(name))))["id"]
        for name in ("imageannotation", "namedentityrecognition")
    }
    server.backend.fix(of_type["imageannotation"])
    assert sync(server, database).complete
    assert not fetch(database).failed
    Mirror(database_url, api_key=KEY, api_url=server.url).verify()
    with mirror.transaction() as tx:
        for number in range(3):
            body = {"attachment": f"https://example.com/{number}.jpg", "project": "Street scenes"}
            tx.create_task("imageannotation", body)
    change(database, 2, CommandState.DEAD, error="attachment is required.", error_code=400)
    with served(database_url) as running:
        counted(running.url, "index.json", "labels.json")
        (batch,) = [row["name"] for row in mirror.sql("SELECT name FROM batches ORDER BY name LIMIT 1")]
        yield {
            name: running.url + address
            for name, address in {
                "overview": "", "labels": "labels", "tasks": "tasks?project=Street+scenes",
                "grid": "tasks?view=grid&type=imageannotation&status=completed",
                "task": f"task/{of_type['imageannotation']}",
                "text": f"task/{of_type['namedentityrecognition']}",
                "versions": f"versions/{of_type['imageannotation']}",
                "batches": "batches", "batch": f"batches/{segment(batch)}", "queue": "queue",
                "sql": f"sql?q={_STATEMENT.replace(' ', '+')}",
            }.items()
        }  # fmt: skip


def test_every_page_is_photographed(pages: dict[str, str], tmp_path: Path) -> None:
    """Each is something to see, of few bytes; those in the documentation are the ones that it shows."""
    with opened("about:blank", viewport={"width": WIDTH, "height": HEIGHT}) as shown:
        for name, address in pages.items():
            shown.page.set_viewport_size({"width": WIDTH, "height": HEIGHTS.get(name, HEIGHT)})
            shown.page.goto(address)
            photograph(shown, tmp_path / f"{name}.png")
    assert {path.name for path in KEPT.glob("*")} == {f"{name}.png" for name in SHOWN}
    assert set(pages) >= SHOWN
    for path in [*tmp_path.glob("*.png"), *KEPT.glob("*.png")]:
        assert path.stat().st_size < MOST_BYTES
        with Image.open(path) as picture:
            assert picture.width == WIDTH
            assert len(picture.getcolors() or []) > 8


def photograph(shown: OpenedPage, path: Path) -> None:
    """Write what a window shows once all is there, for the documentation too if that is asked."""
    if shown.page.locator("figure.chart script").count():
        shown.wait_for_charts()
    shown.page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(shown.page.screenshot())) as picture:
        reduced = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    asked = os.environ.get("SCALESYNC_SCREENSHOTS") == "1" and path.stem in SHOWN
    for folder in [path.parent, KEPT] if asked else [path.parent]:
        folder.mkdir(exist_ok=True)
        reduced.save(folder / path.name, optimize=True)
