"""Several pages in one transaction, and what reading costs beyond the pages themselves."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection, Engine, event, select

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import windows
from scalesync.db.sync import runs, window_ledger
from scalesync.models.sync import RunKind, Window, WindowState
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import STREAMS
from scalesync.sync.window_progress import AcceptedPage, WindowProgress
from scalesync.sync.write_buffer import SyncTotals, WriteBuffer
from tests.support.databases import opened
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import KEY, sync, task_pages
from tests.sync.test_window_progress import NOW, page

LEDGER = ("windows", "window_pages", "runs")
STATEMENTS_PER_PAGE = 6.1
"""Of the ledger: it was 5.1 when this was written."""
TASK_PAGES = 32
"""For 2,000 tasks by 4 workers: it was 27."""


def begun(database: Database, own: SyncStore) -> tuple[WriteBuffer, list[WindowProgress]]:
    """Return what one process has to write, nothing, and two windows whose first pages are written."""
    with database.write() as conn:
        planned = [Window("tasks", "p"), Window("tasks", "q")]
        runs.start(conn, RunKind.FULL, NOW, planned, watermark_at=NOW)
    backlog = WriteBuffer(own, Clock(), lambda _: None, SyncTotals())
    readings = [WindowProgress(STREAMS["tasks"], window) for window in own.claim_several(9)]
    for reading in readings:
        backlog.add(taken(reading, 1))
    while backlog.save_some():
        pass
    return backlog, readings


def taken(reading: WindowProgress, number: int) -> AcceptedPage:
    """Return the window's page of that number, from 1, which is not its last."""
    return reading.accept(page(f"{reading.window.project}{number}", total=9, token=f"t{number}"))


def test_pages_of_several_windows_are_written_together(database: Database) -> None:
    """In one transaction, and what each means for its own window in their order."""
    with ScaleApi(KEY) as api:
        own = SyncStore(database, api, "me", lease=30)
        backlog, readings = begun(database, own)
        pages = [taken(reading, number) for number in (2, 3) for reading in readings]
        for each in pages:
            backlog.add(each)
        before = own.saved

        assert backlog.save_some() == pages
    assert own.saved == before + 1
    with database.read() as conn:
        kept = [window_ledger.keys_received(conn, reading.window.id) for reading in readings]
        assert [(pages, len(keys)) for pages, keys in kept] == [(3, 3), (3, 3)]
        assert list(conn.scalars(select(windows.c.next_token))) == ["t3", "t3"]
        assert len(conn.scalars(select(tasks.c.task_id)).all()) == 6


def test_a_division_is_written_first_and_behind_the_pages_of_its_window(database: Database) -> None:
    """Also after many pages: none of them comes when the window is no longer open."""
    with ScaleApi(KEY) as api:
        own = SyncStore(database, api, "me", lease=30)
        backlog, (other, divided) = begun(database, own)
        for each in (taken(other, 2), taken(divided, 2), taken(other, 3), taken(divided, 3)):
            backlog.add(each)
        parts = (Window("tasks", "q", created_to=NOW),)
        backlog.add(replace(taken(divided, 4), state=WindowState.SPLIT, parts=parts))

        assert [page.number for page in backlog.pages if page.progress is divided] == [1, 2, 3]
        assert {page.progress.window.project for page in list(backlog.pages)[:3]} == {"q"}
        assert backlog.waiting_time(9, 5.0) == 0.0
        while backlog.save_some():
            pass
    assert (other.lost, divided.lost) == (False, False)
    with database.read() as conn:
        assert len(conn.scalars(select(tasks.c.task_id)).all()) == 3 + 4
        assert list(conn.scalars(select(windows.c.state).order_by(windows.c.id))) == ["open", "split", "open"]


def test_one_lost_window_costs_the_others_nothing(database: Database) -> None:
    """Its page is dropped, of which nothing is written; those that were to go with it are written."""
    with ScaleApi(KEY) as api:
        own = SyncStore(database, api, "me", lease=30)
        backlog, (lost, kept) = begun(database, own)
        with database.write() as conn:
            window_ledger.restart(conn, lost.window, "taken over")
            assert next(iter(window_ledger.claim_several(conn, "successor", 30, 1)), None) is not None
        for reading in (lost, kept):
            backlog.add(taken(reading, 2))

        backlog.save_some()
    assert (lost.lost, lost.pages, kept.lost, kept.pages) == (True, 1, False, 2)
    with database.read() as conn:
        assert window_ledger.keys_received(conn, lost.window.id) == (0, set())
        assert "p2" not in set(conn.scalars(select(tasks.c.task_id)))
        assert "q2" in set(conn.scalars(select(tasks.c.task_id)))


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Count the statements that change a table, by its name, while the block lasts."""
    counted: Counter[str] = Counter()

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        words = statement.replace('"', " ").split()
        if words[0] in ("UPDATE", "DELETE", "INSERT"):
            counted[words[1] if words[0] == "UPDATE" else words[2]] += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield counted
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_reading_costs_little_beyond_its_pages(start_sandbox: StartSandbox, sqlite_url: str) -> None:
    """A first sync asks for half as many pages again as hold 2,000 tasks, and keeps few books of each."""
    server = start_sandbox(tasks=2000)
    with opened(sqlite_url) as database, statements() as counted:
        summary = sync(server, database)
        assert summary.complete
        pages = summary.runs[-1].pages

    assert task_pages(server) <= TASK_PAGES
    assert summary.requests - pages <= 2
    assert sum(counted[name] for name in LEDGER) <= STATEMENTS_PER_PAGE * pages
