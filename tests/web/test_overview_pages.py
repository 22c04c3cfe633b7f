"""`/` and `/labels` say how current the mirror is and how its tasks were counted, and never wait for that."""

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, update

from scalesync.db.database import Database
from scalesync.db.schema.sync import runs, verifications, watermarks, windows
from scalesync.models.commands import CommandState
from scalesync.web.overview_cache import cache_of
from scalesync.web.server import PagesServer
from tests.support.chromium import needs_chromium, opened
from tests.support.commands import change, mirror, put
from tests.support.commands import task as order
from tests.support.pages import Browser, of_class, rows, tagged, words
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import sync
from tests.support.view_edge_cases import MISSING, ODD, hold_corners, task

HOSTILE = "</script><script>alert(1)</script>\u2028<!--"


@pytest.fixture
def account(database: Database, browser: Browser, start_sandbox: StartSandbox) -> Browser:
    """Return a browser over the mirror of a whole account."""
    assert sync(start_sandbox(tasks=300), database).complete
    return counted(browser)


@pytest.fixture
def corners(database: Database, browser: Browser) -> Browser:
    """Return a browser over a mirror of odd tasks."""
    hold_corners(database)
    return counted(browser)


@pytest.fixture
def held(browser: Browser) -> Iterator[None]:
    """Keep every overview from being counted while the test runs."""
    with cache_of(browser.mirror).turn:
        yield


def counted(browser: Browser, address: str = "/index.json") -> Browser:
    """Return the browser once the overview of an address was counted."""
    until = time.monotonic() + 60
    while (answer := browser.json(address))["being_counted"] or answer["counted_at"] is None:
        assert time.monotonic() < until
    return browser


def test_the_first_page_has_every_chart_with_its_table(account: Browser) -> None:
    """HTML, JSON and CSV say the same, which is what the mirror says."""
    known = account.mirror.overview()
    document = account.page("/")
    figures = of_class(document, "chart")
    assert [each.get("id") for each in figures] == [
        "by-status", "per-day", "per-week", "reviews", "labels", "batches",
    ]  # fmt: skip
    assert rows(figures[0]) == [[status, f"{number:,}"] for status, number in known.by_status.items()]
    streams = {row[0]: row[1:3] for row in rows(document)[:3]}
    assert streams == {
        name: [f"{account.mirror.count(name):,}", "0"] for name in ("tasks", "batches", "projects")
    }
    for figure in figures:
        assert len(rows(figure)) > 2
        assert [script.get("type") for script in tagged(figure, "script")] == ["application/json"]
    told = account.json("/index.json")["overview"]
    assert told["labels"] == [asdict(label) for label in known.labels]
    assert told["by_status"] == [{"status": name, "tasks": n} for name, n in known.by_status.items()]
    days = csv.DictReader(io.StringIO(account.csv("/index.csv")))
    listed = [(row["day"], row["created"]) for row in days]
    assert listed == [(day.day, str(day.created)) for day in known.days]


def test_labels_are_listed_with_their_uses(account: Browser) -> None:
    """As HTML, JSON and CSV, of all and of one project."""
    known = account.mirror.overview()
    document = account.page("/labels")
    table = rows(document)[-len(known.labels) :]
    numbers = [[f"{n:,}" for n in (each.annotations, each.tasks, each.projects)] for each in known.labels]
    assert [row[2:] for row in table] == numbers
    assert [row[:2] for row in table] == [[each.label or "", each.geometry or ""] for each in known.labels]
    assert account.json("/labels.json")["labels"] == [asdict(label) for label in known.labels]
    assert len(account.csv("/labels.csv").splitlines()) == len(known.labels) + 1
    counted(account, "/labels.json?project=Street+scenes")
    part = account.json("/labels.json?project=Street+scenes")["labels"]
    assert 0 < len(part) < len(known.labels)
    assert part == [asdict(label) for label in account.mirror.overview(project="Street scenes").labels]


def test_only_days_since_a_time_are_shown(account: Browser) -> None:
    """And the page says since when, and of which project."""
    address = "?project=Street+scenes&since=2026-01-01"
    counted(account, f"/index.json{address}")
    document = account.page(f"/{address}")
    assert "Of the tasks of project Street scenes and batches created since 2026-01-01" in words(document)
    shown = account.json(f"/index.json{address}")["overview"]
    assert min(day["day"] for day in shown["days"]) >= "2026-01-01"
    assert (shown["project"], shown["since"]) == ("Street scenes", "2026-01-01T00:00:00.000Z")


def test_a_complete_and_proven_mirror_has_no_warning(database: Database, account: Browser) -> None:
    """Until the proof is old, a difference is found, a run fails, or a stream is not known complete."""
    now = datetime.now(UTC)
    values = {"scope": "[]", "everything": True, "deep": True, "drift": 0, "requests": 1}
    with database.write() as conn:
        conn.execute(insert(verifications).values(as_of=now, state="proven", **values))
    told = [text for text in warned(account) if "annotation" not in text]
    assert told == []
    assert "Proven equal to the API as of" in words(account.page("/"))
    with database.write() as conn:
        conn.execute(update(verifications).values(as_of=now - timedelta(days=8)))
    assert "The last proof is old: 8.0 d." in warned(account)
    with database.write() as conn:
        conn.execute(
            insert(verifications).values(as_of=now, state="drift", **values | {"drift": 3, "unproven": "no"})
        )
        run = insert(runs).values(kind="full", state="incomplete", started_at=now, finished_at=now)
        run_id = conn.execute(run.returning(runs.c.id)).scalar_one()
        conn.execute(insert(windows).values(run_id=run_id, stream="tasks", state="failed"))
        conn.execute(delete(watermarks).where(watermarks.c.stream == "batches"))
    sentences = " ".join(warned(account))
    assert "found that 3 objects differed" in sentences
    assert "could not compare everything: no" in sentences
    assert "ended incomplete" in sentences
    assert "Never synced completely: batches." in sentences
    assert of_class(account.page("/"), "warnings")


def warned(browser: Browser) -> list[str]:
    """Return what keeps the mirror from being known complete."""
    told: list[str] = browser.json("/index.json")["freshness"]["warnings"]
    return told


def test_a_mirror_that_was_never_synced_says_so(browser: Browser) -> None:
    """Above everything else, with empty charts."""
    counted(browser)
    assert warned(browser)[0].startswith("This mirror was never synced completely")
    document = browser.page("/")
    assert "Not known to be complete and right" in words(document)
    assert "Nothing to draw" in words(document)
    assert "No annotation here" in words(browser.page("/labels"))


def test_the_queue_is_as_it_is_now(database: Database, browser: Browser) -> None:
    """Its depth by state, and what needs a person, without being counted anew."""
    counted(browser)
    first, second = (put(database, order(name)).command_id or 0 for name in "ab")
    change(database, first, CommandState.DEAD)
    told = browser.json("/index.json")["freshness"]
    assert {row["state"]: row["commands"] for row in told["queue"]} == {"queued": 1, "dead": 1}
    assert "1 command needs a person: see `scalesync queue list`." in told["queue_sentences"]
    assert "1 command open" in words(browser.page("/"))
    change(database, second, CommandState.DELIVERED)
    assert browser.json("/index.json")["freshness"]["queue"] == [
        {"state": "dead", "commands": 1, "needs_a_person": True}
    ]


@pytest.mark.usefixtures("held")
def test_a_page_does_not_wait_until_the_tasks_are_counted(browser: Browser) -> None:
    """It says that they are being counted, and has a browser load it again."""
    began = time.monotonic()
    answer = browser.client.get("/")
    assert time.monotonic() - began < 5
    assert answer.headers["refresh"] == "3"
    assert "The tasks are being counted." in words(browser.page("/"))
    assert browser.json("/index.json")["overview"] is None
    assert browser.json("/labels.json")["counted_at"] is None


def test_an_older_overview_is_shown_with_its_time(database: Database, corners: Browser) -> None:
    """While a newer one is being counted, which the page says; then the newer one is shown."""
    before = corners.json("/index.json")
    with cache_of(corners.mirror).turn:
        mirror(database, "tasks", **task(900, HOSTILE, project=HOSTILE))
        told = corners.json("/index.json")
        assert (told["being_counted"], told["counted_at"]) == (True, before["counted_at"])
        assert "newer numbers are being counted: reload" in words(corners.page("/"))
    after = counted(corners).json("/index.json")["overview"]
    assert len(after["labels"]) == len(before["overview"]["labels"]) + 1


def test_names_of_strangers_stay_text(database: Database, corners: Browser) -> None:
    """Scripts, comments and line separators in names of labels, projects and batches."""
    mirror(database, "tasks", **task(900, HOSTILE, project=HOSTILE, batch=HOSTILE, status="completed"))
    counted(corners)
    document = corners.page("/")
    assert {each.get("type") or each.get("src") for each in tagged(document, "script")} == {
        "application/json", "/static/page.js", "/static/vendor/panzoom/panzoom-4.6.2.min.js",
        "/static/vendor/vega/vega-6.4.0.min.js", "/static/vendor/vega/vega-lite-6.5.0.min.js",
        "/static/vendor/vega/vega-embed-7.3.0.min.js", "/static/charts.js",
    }  # fmt: skip
    assert "</script><script>alert(1)</script>" in words(document)
    shown = [cell for row in rows(corners.page("/labels")) for cell in row]
    assert " ".join(HOSTILE.split()) in shown
    assert " ".join(ODD.split()) in shown
    assert MISSING not in corners.client.get("/").text


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/?since=soon", "is not a time"),
        ("/labels?project=%00", "is not text"),
        ("/?project=a&project=b", "2 times"),
        ("/labels?colour=red", "no filter"),
    ],
)
def test_a_wrong_filter_is_one_sentence(browser: Browser, address: str, sentence: str) -> None:
    """With the status 400, and nothing is counted."""
    assert sentence in words(browser.page(address, 400))


@pytest.mark.usefixtures("held")
def test_too_many_overviews_at_once_are_refused(browser: Browser) -> None:
    """The page says that, and is there again when those before it are done."""
    answers = [browser.client.get(f"/?project=p{number}").status_code for number in range(10)]
    assert answers == [200] * 8 + [504] * 2


@needs_chromium
def test_the_charts_are_drawn_under_the_policy_of_the_pages(account: Browser) -> None:
    """In a browser: nothing is forbidden, nothing comes from elsewhere, and marks say their values."""
    with PagesServer(account.mirror, "127.0.0.1", 0, None) as server, opened(server.url) as shown:
        # The server has overviews of its own: its first page may load itself again until there is one.
        shown.page.wait_for_selector("figure.drawn", timeout=60_000)
        shown.wait_for_charts()
        assert (shown.violations(), shown.messages) == ([], [])
        assert all(address.startswith(server.url) for address in shown.requests)
        assert shown.page.locator("figure.drawn svg").count() == 6
        told = shown.page.locator("#by-status [aria-roledescription=bar]").evaluate_all(
            "bars => bars.map(bar => bar.getAttribute('aria-label'))"
        )
        known = account.mirror.overview().by_status
        assert told == [f"tasks: {number}; status: {status}" for status, number in known.items()]
        shown.page.hover("#by-status [aria-roledescription=bar]")
        hint = shown.page.locator("#by-status [title]").get_attribute("title")
        assert hint == "tasks: {}\nstatus: {}".format(*next((n, status) for status, n in known.items()))
