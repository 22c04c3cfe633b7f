"""A page's rows and what it means for its window are one commit: whatever fails, neither is there alone."""

from typing import Any

import pytest
from sqlalchemy import Table, select, text

from scalesync.api.client import ScaleApi
from scalesync.db.database import Database
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.sync import runs as runs_table
from scalesync.db.schema.sync import window_pages, windows
from scalesync.db.sync import runs
from scalesync.errors import DatabaseError
from scalesync.models.sync import RunKind, Window
from scalesync.sync.store import SyncStore
from scalesync.sync.streams import STREAMS
from scalesync.sync.window_progress import WindowProgress
from tests.support.sync_env import KEY
from tests.sync.test_window_progress import NOW, page

WRITTEN = (tasks, window_pages, windows, runs_table)


def held(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return what a page changes, by table; leases left out."""
    with database.read() as conn:
        found = {table.name: conn.execute(select(table)).mappings().all() for table in WRITTEN}
    return {
        name: [{column: value for column, value in row.items() if column != "leased_until"} for row in rows]
        for name, rows in found.items()
    }


def rename(database: Database, table: str, to: str) -> None:
    """Give a table another name, which puts it out of reach."""
    with database.write() as conn:
        conn.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))


@pytest.mark.parametrize("refused", WRITTEN, ids=lambda table: table.name)
def test_a_page_is_written_whole_or_not_at_all(database: Database, refused: Table) -> None:
    """Where any of the tables cannot be written, neither the rows nor the token nor the counts are kept."""
    with database.write() as conn:
        runs.start(conn, RunKind.FULL, NOW, [Window("tasks")], watermark_at=NOW)
    with ScaleApi(KEY) as api:
        store = SyncStore(database, api, "me", lease=30)
        [window] = store.claim_several(1)
        reading, fetched = WindowProgress(STREAMS["tasks"], window), page("a", "b", total=3, token="t")
        taken = reading.accept(fetched)
        before = held(database)

        rename(database, refused.name, "elsewhere")
        with pytest.raises(DatabaseError):
            store.save_together([taken])
        rename(database, "elsewhere", refused.name)
        assert held(database) == before

        store.save_together([taken])
    after = held(database)
    assert [row["task_id"] for row in after["tasks"]] == ["a", "b"]
    assert [(row["next_token"], row["rows_received"]) for row in after["windows"]] == [("t", 2)]
