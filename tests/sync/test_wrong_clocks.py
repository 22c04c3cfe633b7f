"""Our own clock is wrong by hours, or jumps: what is mirrored, and what is called complete, is the same."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest
from sqlalchemy import select

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.sync.runs import read_watermarks
from scalesync.errors import ScaleNoAnswer
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.scripted_server import ScriptedServer, say
from tests.support.sync_env import EVERYTHING, session

Start = Callable[..., SandboxServer]
API_TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = ("mirror", "tasks", "batches", "projects", "project_versions", "watermarks", "task_changes", "runs")


@dataclass(frozen=True)
class Wrong(Clock):
    """A clock that is so many hours off, one after the other at each look."""

    hours: "cycle[float]" = field(default_factory=lambda: cycle([0]))

    def now(self) -> datetime:
        """Return a wrong time."""
        return super().now() + timedelta(hours=next(self.hours))


OWN = ("id", "api_url", "requests", "opened_at")
"""Columns that differ between two mirrors of one account."""


def content(database: Database) -> dict[str, list[str]]:
    """Return every row of the mirror."""
    found: dict[str, list[str]] = {}
    with database.read() as conn:
        for name in ACCOUNT:
            table = metadata.tables[name]
            columns = [column for column in table.c if column.name not in OWN]
            found[name] = sorted(map(repr, conn.execute(select(*columns)).all()))
    return found


def test_a_clock_that_is_wrong_changes_nothing(
    start_sandbox: Start, sqlite_template: Path, tmp_path: Path
) -> None:
    """Hours behind, hours ahead, or jumping to and fro: every row is that of a run with a right clock."""
    times = [API_TIME]
    server = start_sandbox(tasks=250, clock=lambda: times[-1])
    clocks = [Wrong(hours=cycle(hours)) for hours in ([0], [-5], [7], [-30, 4, 0, 11])]
    with ExitStack() as stack:
        copies = [shutil.copyfile(sqlite_template, tmp_path / f"{number}.db") for number in range(4)]
        databases = [stack.enter_context(opened(f"sqlite:///{copy}")) for copy in copies]
        for _ in range(2):
            for clock, database in zip(clocks, databases, strict=True):
                with session(server, database, clock=clock) as ready:
                    assert ready.sync(EVERYTHING).complete
            times.append(times[-1] + timedelta(hours=1))
            server.backend.churn(40)
        found = [content(database) for database in databases]
        with databases[1].read() as conn:
            assert set(read_watermarks(conn).values()) == {times[-2]}

    for wrong in found[1:]:
        assert {name: rows for name, rows in wrong.items() if rows != found[0][name]} == {}


def test_an_api_without_a_date_is_refused(sqlite_url: str) -> None:
    """Our own clock does not stand in where it is told what is complete: nothing is planned."""
    undated = say({"docs": [], "total": 0}, headers={"Date": ""})
    with (
        ScriptedServer([undated]) as api,
        opened(sqlite_url) as database,
        session(api, database) as ready,
        pytest.raises(ScaleNoAnswer, match="no date"),
    ):
        ready.sync(EVERYTHING)
    with opened(sqlite_url) as database:
        assert content(database)["runs"] == []
