"""Batches, the queue, and questions in SQL."""

import csv
import io
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from scalesync.db.database import Database
from scalesync.models.commands import CommandState
from scalesync.web.addresses import segment
from tests.support.commands import change, mirror, put, task
from tests.support.databases import opened
from tests.support.pages import Browser, links, of_class, rows, tagged, words
from tests.support.view_edge_cases import ODD, hold_corners


def test_batches_say_how_much_is_done(database: Database, browser: Browser) -> None:
    """By the counts that the mirror keeps; those of a batch that is not counted are counted on its page."""
    hold_corners(database)
    table = {row[0]: row for row in rows(browser.page("/batches"))}
    known = {str(each["name"]) for each in browser.mirror.batches()}
    assert {"".join(name.split()) for name in table} == {"".join(name.split()) for name in known}
    found = browser.json(f"/batches/{segment('pair')}.json")
    assert found["counts"] == {
        "tasks_pending": 1, "tasks_completed": 2, "tasks_error": 0, "tasks_canceled": 0
    }  # fmt: skip
    assert found["share_done"] == 2 / 3
    assert len(found["tasks"]) == 3


def test_names_of_batches_lead_to_their_pages(database: Database, browser: Browser) -> None:
    """Whatever they are called: with slashes, dots as of a suffix, marks and line breaks."""
    names = ["a/b", "x.json", "x.csv", "100%", ODD, "a?b#c", " ", "<b>"]
    for name in names:
        mirror(database, "batches", name=name, created_at="2024-01-01T00:00:00.000Z")
        mirror(database, "tasks", task_id=f"t{name}", batch=name, created_at="2024-01-01T00:00:00.000Z")
    found = [link for link in links(browser.page("/batches")) if link.startswith("/batches/")]
    assert sorted(browser.json(f"{link}.json")["batch"]["name"] for link in found) == sorted(names)
    for link in found:
        assert len(rows(browser.page(link))) == 1
    browser.page("/batches/none", 404)
    assert "not text" in words(browser.page("/batches/%00", 400))


def test_the_queue_says_what_waits_and_what_mends_it(database: Database, browser: Browser) -> None:
    """First what needs a person; the words of the API stay text."""
    for number in range(4):
        put(database, task(f"u{number}"))
    change(database, 1, CommandState.DEAD, error="400: no <b>such</b> thing")
    change(database, 2, CommandState.IN_DOUBT, ambiguous=True)
    document = browser.page("/queue")
    cells = {row[0]: row for row in rows(document)}
    assert list(cells) == ["1", "2", "3", "4"]
    assert cells["1"][6] == "400: no <b>such</b> thing"
    assert [each.get("data-copy") for each in of_class(document, "copy")] == [
        "scalesync queue retry 1",
        "scalesync queue reconcile",
        "scalesync dispatch",
        "scalesync dispatch",
    ]
    found = browser.json("/queue.json")
    assert [row["id"] for row in found["urgent"]] == [1, 2]
    assert [row["id"] for row in found["waiting"]] == [3, 4]
    assert [row["id"] for row in browser.json("/queue.json?after=3")["waiting"]] == [4]
    assert len(browser.csv("/queue.csv").splitlines()) == 5
    assert "There is no filter" in words(browser.page("/queue?x=1", 400))


def test_a_long_queue_has_pages(database: Database, browser: Browser) -> None:
    """Each command is on one of them."""
    for number in range(250):
        put(database, task(f"u{number}"))
    found, address = [], "/queue"
    while address:
        document = browser.page(address)
        found += [int(row[0]) for row in rows(document)]
        address = next(iter(links(document, "next")), "")
    assert found == list(range(1, 251))


def test_sql_is_answered_as_a_table(browser: Browser) -> None:
    """The form keeps the statement, and hostile values stay text."""
    statement = "SELECT '<script>' AS \"a<b\", 1 AS n, NULL AS void"
    document = browser.page(f"/sql?q={quote(statement)}")
    assert rows(document)[-1] == ["<script>", "1", ""]
    (field,) = tagged(document, "textarea")
    assert "".join(field.itertext()) == statement
    assert browser.json(f"/sql.json?q={quote(statement)}") == [{"a<b": "<script>", "n": 1, "void": None}]
    assert browser.csv(f"/sql.csv?q={quote(statement)}") == "a<b,n,void\n<script>,1,\n"
    assert browser.json("/sql.json?q=SELECT+1+WHERE+1%3D0") == []


def test_a_long_answer_is_whole_in_csv_and_json(browser: Browser) -> None:
    """The page shows a part, and says so."""
    statement = quote(
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 20000) SELECT n FROM t"
    )
    document = browser.page(f"/sql?q={statement}")
    assert len(rows(document)) == 500
    assert "500 rows of more: the CSV and the JSON have all." in words(document)
    assert len(list(csv.reader(io.StringIO(browser.csv(f"/sql.csv?q={statement}"))))) == 20_001
    assert [row["n"] for row in browser.json(f"/sql.json?q={statement}")] == list(range(1, 20_001))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE tasks",
        "nonsense",
        "SELECT 1; SELECT 2",
        "SELECT * FROM none",
        "UPDATE tasks SET batch = 'x'",
    ],
)
def test_wrong_sql_is_a_page_with_one_sentence(browser: Browser, statement: str) -> None:
    """In every form, and nothing is changed."""
    address = f"q={quote(statement)}"
    assert "cannot be run" in words(browser.page(f"/sql?{address}", 400))
    assert "cannot be run" in browser.json(f"/sql.json?{address}", 400)["error"]
    assert browser.client.get(f"/sql.csv?{address}").status_code == 400


def test_a_database_that_is_gone_is_a_page_and_comes_back(sqlite_url: str, tmp_path: Path) -> None:
    """With a sentence and 503, without a traceback; the next request finds it again."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with opened(sqlite_url) as database:
        mirror(database, "tasks", task_id="t", created_at="2024-01-01T00:00:00.000Z")
    browser = Browser(sqlite_url)
    assert len(rows(browser.page("/tasks"))) == 1
    away = tmp_path / "away"
    away.mkdir()
    files = [found for found in path.parent.iterdir() if found.name.startswith(path.name)]
    for found in files:
        shutil.move(found, away / found.name)
    for address in ("/tasks", "/task/t", "/batches", "/queue", "/sql?q=SELECT+1"):
        said = words(browser.page(address, 503))
        assert "Traceback" not in said
        assert path.name in said
    for found in files:
        shutil.move(away / found.name, found)
    assert len(rows(browser.page("/tasks"))) == 1
    browser.close()
