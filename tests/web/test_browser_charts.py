"""In a browser, the marks of the charts say what SQL says, and the report alone shows the same."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.web.overview_charts import BARS, DAYS
from tests.support.chromium import OpenedPage, needs_chromium, opened
from tests.support.cli_process import scalesync_in
from tests.support.file_server import fetch
from tests.support.sandboxes import StartSandbox
from tests.support.shown_account import counted, served
from tests.support.sync_env import sync

pytestmark = needs_chromium

CHARTS = ("by-status", "per-day", "per-week", "reviews", "labels", "batches")
_MARKS = """marks => marks.filter((mark) => /bar|point/.test(mark.getAttribute("aria-roledescription")))
  .map((mark) => mark.getAttribute("aria-label"))"""


class Charted(NamedTuple):
    """A mirror with its pages."""

    mirror: Mirror
    url: str
    database_url: str

    def numbers(self, statement: str) -> dict[tuple[str, ...], int]:
        """Return the last column of an answer of SQL by the columns before it, as texts."""
        rows = [list(row.values()) for row in self.mirror.sql(statement)]
        return {tuple(map(str, names)): int(number) for *names, number in rows}


@pytest.fixture
def charted(database: Database, database_url: str, start_sandbox: StartSandbox) -> Iterator[Charted]:
    """Return the mirror of an account with its result files."""
    server = start_sandbox(tasks=300)
    assert sync(server, database).complete
    assert not fetch(database).failed
    with served(database_url) as pages:
        counted(pages.url, "index.json", "labels.json")
        yield Charted(Mirror(database_url), pages.url, database_url)


def marks(shown: OpenedPage, chart: str) -> list[str]:
    """Return what the bars and points of a chart say to who does not see them, in their order."""
    shown.wait_for_charts()
    found: list[str] = shown.page.locator(f"#{chart} .drawing [aria-roledescription]").evaluate_all(_MARKS)
    return found


def fields(said: list[str]) -> list[dict[str, str]]:
    """Return what marks say, by the names of their values."""
    return [dict(part.split(": ", 1) for part in each.split("; ")) for each in said]


def test_marks_of_the_first_page_say_what_sql_says(charted: Charted) -> None:
    """Tasks by status and day, reviews by project, and batches."""
    with opened(charted.url) as shown:
        statuses = charted.numbers("SELECT status, count(*) AS n FROM tasks GROUP BY status")
        assert sorted(marks(shown, "by-status")) == sorted(
            f"tasks: {number}; status: {status}" for (status,), number in statuses.items()
        )
        for name in ("created", "completed"):
            days = Counter(
                str(row["at"])[:10]
                for row in charted.mirror.sql(f"SELECT {name}_at AS at, status FROM tasks")
                if row["at"] is not None and (name == "created" or row["status"] == "completed")
            )
            said = [each for each in fields(marks(shown, "per-day")) if each["what"] == name]
            assert len(said) == DAYS
            assert {day["day (UTC)"]: int(day["tasks per day"]) for day in said} == {
                day["day (UTC)"]: days[day["day (UTC)"]] for day in said
            }
        reviews = charted.numbers(
            "SELECT project, customer_review_status, count(*) AS n FROM tasks WHERE customer_review_status IN"
            " ('accepted', 'fixed', 'commented', 'rejected') GROUP BY project, customer_review_status"
        )
        found = {
            (each["project"], each["review"]): int(each["tasks with this review"])
            for each in fields(marks(shown, "reviews"))
        }
        assert {place: number for place, number in found.items() if number} == reviews
        check_batches(charted, shown)


def check_batches(charted: Charted, shown: OpenedPage) -> None:
    """Hold each bar of the batches to the tasks of the batch."""
    done = charted.numbers("SELECT batch, count(*) AS n FROM tasks WHERE status = 'completed' GROUP BY batch")
    total = charted.numbers(
        "SELECT batch, count(*) AS n FROM tasks WHERE status <> 'canceled' GROUP BY batch"
    )
    said = fields(marks(shown, "batches"))
    assert 10 < len(said) <= BARS
    for each in said:
        share = float(each["% of its tasks completed, but for canceled ones"])
        of_batch = (each["batch"],)
        assert share == pytest.approx(100 * done.get(of_batch, 0) / total[of_batch], abs=0.05)


def test_marks_of_labels_say_what_sql_says(charted: Charted) -> None:
    """The most used ones, by geometry; every label is listed below them."""
    uses = charted.numbers(
        "SELECT label, geometry, count(*) AS n FROM annotations WHERE label IS NOT NULL"
        " GROUP BY label, geometry"
    )
    with opened(f"{charted.url}labels") as shown:
        said = fields(marks(shown, "labels"))
        assert len(said) == BARS
        for each in said:
            assert uses[each["label"], each["geometry"]] == int(each["annotations"])
        least = min(int(each["annotations"]) for each in said)
        assert sum(number > least for number in uses.values()) <= BARS
        cells = shown.page.locator("main > .wide tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].slice(0, 3).map(cell => cell.textContent.trim()))"
        )
        listed = {(label, geometry): int(number.replace(",", "")) for label, geometry, number in cells}
        assert listed.items() >= uses.items()


def test_the_report_shows_the_same_and_asks_for_nothing(charted: Charted, tmp_path: Path) -> None:
    """A file that a command made, opened from the disk: the only request is that for itself."""
    made = scalesync_in(tmp_path)("--db", charted.database_url, "--quiet", "report", "-o", "report.html")
    assert (made.code, made.err) == (0, "")
    address = (tmp_path / "report.html").as_uri()
    with opened(charted.url) as pages, opened(address) as report:
        assert {chart: marks(report, chart) for chart in CHARTS} == {
            chart: marks(pages, chart) for chart in CHARTS
        }
        assert (report.requests, report.violations(), report.messages) == ([address], [], [])
