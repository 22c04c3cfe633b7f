"""`/tasks` shows every task that the filters of its address select, page by page, and each once."""

import csv
import io
from urllib.parse import urlencode

import pytest

from scalesync.db.database import Database
from scalesync.models.selection import EVERYTHING
from tests.support.commands import mirror
from tests.support.pages import Browser, links, rows, tagged, words
from tests.support.view_edge_cases import MISSING, ODD, hold_corners, task


@pytest.fixture
def corners(database: Database, browser: Browser) -> Browser:
    """Return a browser over a mirror of odd tasks."""
    hold_corners(database)
    return browser


def walked(browser: Browser, address: str, rel: str) -> list[list[str]]:
    """Return the ids on each page, following the links of this kind."""
    found = []
    while address:
        document = browser.page(address)
        found.append([row[0] for row in rows(document)])
        address = next(iter(links(document, rel)), "")
    return found


def expected(browser: Browser) -> list[str]:
    """Return the ids of all tasks in the order of the API: newest first."""
    return [str(task["task_id"]) for task in browser.mirror.newest_first("tasks", EVERYTHING)]


@pytest.mark.parametrize("size", [1, 2, 7, 200])
def test_pages_have_every_task_once_in_both_directions(corners: Browser, size: int) -> None:
    """Those without a time of creation are last; the way back has the same pages' tasks."""
    known = expected(corners)
    there = walked(corners, f"/tasks?limit={size}", "next")
    assert [each for page in there for each in page] == known
    last = there[-1][-1]
    assert MISSING not in known
    assert len(there) == -(-len(known) // size)
    document = corners.page(f"/tasks?limit={size}")
    while following := links(document, "next"):
        document = corners.page(following[0])
    back = walked(corners, links(document, "prev")[0], "prev") if links(document, "prev") else []
    assert [each for page in reversed(back) for each in page] == known[: len(known) - len(there[-1])]
    assert last == known[-1]


@pytest.mark.parametrize(
    ("address", "filters"),
    [
        ("project=p", {"project": "p"}),
        ("batch=pair&status=completed", {"batch": "pair", "status": "completed"}),
        ("customer_review_status=fixed", {"customer_review_status": "fixed"}),
        ("since=2024-01-01&until=2024-03-01", {"since": "2024-01-01", "until": "2024-03-01"}),
        ("completed_since=2024-01-03", {"completed_since": "2024-01-03"}),
        ("unique_id=a&unique_id=lost", {"unique_id": ["a", "lost"]}),
        ("missing=1", {"missing": True}),
        ("status=nothing", {"status": "nothing"}),
        ("type=imageannotation&project=", {"type": "imageannotation"}),
    ],
)
def test_filters_are_those_of_the_command_line(
    corners: Browser, address: str, filters: dict[str, object]
) -> None:
    """In the same words, and empty fields of the form are no filters."""
    known = {str(each["task_id"]) for each in corners.mirror.tasks(**filters)}  # type: ignore[arg-type]
    assert {each for page in walked(corners, f"/tasks?limit=3&{address}", "next") for each in page} - {
        "No task here is like that."
    } == known
    assert {each["task_id"] for each in corners.json(f"/tasks.json?limit=200&{address}")["tasks"]} == known


def test_names_are_taken_as_they_are(corners: Browser) -> None:
    """A name with quotes, signs and line breaks goes through address, form and table."""
    query = urlencode({"project": ODD})
    assert {each["project"] for each in corners.json(f"/tasks.json?{query}")["tasks"]} == {ODD}
    document = corners.page(f"/tasks?{query}")
    assert len(rows(document)) == 3
    assert ODD in {each.get("value") for each in tagged(document, "input")}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("colour=red", "There is no filter 'colour' here."),
        ("since=never", "'never' is not a time."),
        ("since=2024-02-01&until=2024-01-01", "lies after"),
        ("project=a&project=b", "project is in the address 2 times."),
        ("project=%00", "is not text"),
        ("limit=-1", "limit is not a whole number"),
        ("limit=%D9%A3", "limit is not a whole number"),
        ("limit=9999999999999999999999", "limit is not a whole number"),
        ("older=x", "names no place"),
        ("older=2024~", "names no place"),
        ("newer=~%00", "names no place"),
        ("older=99999-01-01~a", "names no place"),
        ("view=map", "There is no view 'map'."),
        ("missing=perhaps", "missing is neither 1 nor 0."),
    ],
)
def test_a_wrong_filter_is_a_page_with_one_sentence(browser: Browser, query: str, sentence: str) -> None:
    """With the status 400, as HTML and as JSON."""
    document = browser.page(f"/tasks?{query}", 400)
    assert sentence in words(document)
    assert sentence in browser.json(f"/tasks.json?{query}", 400)["error"]


def test_csv_runs_nothing_in_a_spreadsheet(database: Database, browser: Browser) -> None:
    """What looks like a formula has an apostrophe before it, as in exports."""
    mirror(database, "tasks", **task(1, unique_id="=1+1", project="@p"))
    header, row = csv.reader(io.StringIO(browser.csv("/tasks.csv")))
    assert dict(zip(header, row, strict=True))["unique_id"] == "'=1+1"
    assert dict(zip(header, row, strict=True))["project"] == "'@p"


def test_there_is_a_page_for_nothing(browser: Browser) -> None:
    """An empty mirror has pages too, and an unknown address is one with 404."""
    assert "No task here" in words(browser.page("/tasks"))
    assert "There is no such page." in words(browser.page("/nowhere", 404))
    assert browser.json("/index.json")["freshness"]["warnings"]


def test_pages_of_a_mirror_that_was_never_synced_say_so(browser: Browser) -> None:
    """Each of them: an empty list is no proof that there is nothing."""
    for address in ("/", "/tasks", "/labels", "/batches", "/queue", "/sql"):
        assert words(browser.page(address)).count("never synced completely") == 1
