"""From nothing to a box on a picture: what the README's command starts, as a process of its own."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_demo import without
from tests.readme import marked
from tests.support.chromium import needs_chromium, opened
from tests.support.cli_process import Done, Scalesync, check_refusal

_ON_PICTURE = """() => {
  const place = (each) => each.getBoundingClientRect();
  const picture = place(document.querySelector(".stage img"));
  return [...document.querySelectorAll("svg .shape")].filter((each) => {
    const shape = place(each);
    return shape.width > 0 && shape.left >= picture.left - 1 && shape.right <= picture.right + 1;
  }).length;
}"""


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[str]:
    """Return the address that the command prints; it then ends with 0 and leaves nothing behind."""
    install, command = marked("pages command").rstrip().rsplit(" && ", 1)
    assert re.search(r"pip install --quiet '\.\[web,sandbox\]'$", install)
    assert command == ".venv/bin/scalesync browse --demo --open"
    # A browser that opens by itself would be another than ours.
    run = Scalesync(tmp_path, {"TMPDIR": str(tmp_path), "BROWSER": "true"})
    with run.started("browse", "--demo", "--port", "0") as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        done = Scalesync.ended(process)
    assert done == Done(0, "", "A made-up account of 500 tasks; it is gone when this ends.\n")
    assert list(tmp_path.iterdir()) == []


@needs_chromium
def test_the_readme_leads_from_nothing_to_a_box_on_a_picture(pages: str) -> None:
    """By the grid of tasks, in which the pictures are; the first page calls the mirror proven."""
    with opened(pages) as shown:
        assert "Proven equal to the API as of" in shown.page.inner_text("main")
        shown.page.get_by_role("link", name="Tasks", exact=True).click()
        shown.page.get_by_role("link", name="Grid").click()
        shown.page.locator(".grid li a", has=shown.page.locator("img")).locator(
            "rect, polygon"
        ).first.wait_for()
        shown.page.goto(f"{pages}tasks?type=annotation&status=completed&view=grid")
        shown.page.locator(".grid li a").first.click()
        shown.page.wait_for_function("document.querySelector('.stage img')?.naturalWidth === 1920")
        assert shown.page.evaluate(_ON_PICTURE) == shown.page.locator(".item").count() > 0
        assert (shown.messages, shown.dialogs) == ([], [])


def test_who_stops_it_early_leaves_nothing_behind(tmp_path: Path) -> None:
    """It ends with 130 while the account is still made."""
    run = Scalesync(tmp_path, {"TMPDIR": str(tmp_path)})
    with run.started("browse", "--demo", "--port", "0") as process:
        while not list(tmp_path.glob("*/scalesync.db")):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        done = Scalesync.ended(process)
    assert (done.code, done.out) == (130, "")
    assert "The demo was stopped." in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_the_sandbox_it_says_how_to_install_it(tmp_path: Path) -> None:
    """The pages alone need less."""
    packages = tmp_path / "packages"
    packages.mkdir()
    done = subprocess.run(
        [sys.executable, "-S", "-m", "scalesync", "browse", "--demo"],
        env=without(packages, "python_multipart", "multipart"),
        capture_output=True,
        text=True,
        check=False,
    )
    check_refusal(Done(done.returncode, done.stdout, done.stderr), 2, "'.[sandbox]'")
