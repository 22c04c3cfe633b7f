"""DuckDB attaches an SQLite mirror, and reads of every table and view what SQLite does."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import duckdb_extension_sqlite_scanner
import pytest

from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.views import VIEWS
from scalesync.models.commands import CommandState
from scalesync.queue import new_commands
from tests.support.commands import change, mirror, put
from tests.support.databases import opened
from tests.support.view_edge_cases import ODD, done, hold_corners

EXTENSION = next(Path(duckdb_extension_sqlite_scanner.__file__).parent.rglob("*.duckdb_extension"))
AS_TEXT = {
    "task_facts",
    "batch_progress",
    "submissions",
    "weekly_labels",
    "image_annotations",
    "monthly_completion",
    "duplicate_tasks",
    "annotation_findings",
}
"""Views that DuckDB has SQLite run; it takes every column of such a view for text."""


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """Return a mirror of odd tasks and batches, and of commands, some with tasks and some without."""
    with opened(sqlite_url) as database:
        hold_corners(database)
        for number, name in enumerate(("there", 'quoted "name"', ODD, "waits"), 101):
            body = {"unique_id": name, "project": ODD, "batch": "b"}
            queued = put(database, new_commands.create_task("annotation", body))
            if name != "waits":
                mirror(database, "tasks", **done(number, "2024-01-01T00:00:00.000Z", unique_id=name))
            if name == "there":
                result = json.dumps({"task_id": f"{number:024x}"})
                change(database, queued.command_id or 0, CommandState.DELIVERED, result=result)
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def attached(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection of DuckDB that has attached the mirror."""
    with duckdb.connect() as connection:
        connection.execute(f"LOAD '{EXTENSION}'")
        connection.execute(f"ATTACH '{path}' AS mirror (TYPE sqlite, READ_ONLY)")
        yield connection


def alike(value: object) -> object:
    """Return a value so that numbers are equal to their text."""
    try:
        return round(float(value), 9) if isinstance(value, str | int | float) else value
    except ValueError:
        return value


def rows_of(found: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return rows in one order, whichever database gave them."""
    return sorted((tuple(map(alike, row)) for row in found), key=repr)


@pytest.mark.parametrize("name", [*metadata.tables, *VIEWS])
def test_duckdb_reads_what_sqlite_does(name: str, path: Path, attached: duckdb.DuckDBPyConnection) -> None:
    """Row by row, also of views that it runs itself: no name in quotes, no task without its command."""
    with sqlite3.connect(path) as connection:
        expected = connection.execute(f'SELECT * FROM "{name}"').fetchall()
    connection.close()
    assert rows_of(attached.execute(f'SELECT * FROM mirror."{name}"').fetchall()) == rows_of(expected)
    assert expected or name not in VIEWS


def test_duckdb_lists_every_table_and_view(attached: duckdb.DuckDBPyConnection) -> None:
    """One view that it could not bind would take the list of all with it."""
    attached.execute("USE mirror")
    assert {name for (name,) in attached.execute("SHOW TABLES").fetchall()} >= {*metadata.tables, *VIEWS}
    assert {row[2] for row in attached.execute("SHOW ALL TABLES").fetchall()} >= {*metadata.tables}


def test_views_that_duckdb_runs_itself_have_numbers(attached: duckdb.DuckDBPyConnection) -> None:
    """Those that it has SQLite run are of text, as the documentation says: their numbers want a CAST."""
    for name in VIEWS:
        types = {kind for _, kind, *_ in attached.execute(f"DESCRIBE mirror.{name}").fetchall()}
        # Of task_responses every column is a text, whoever runs it.
        assert (types == {"VARCHAR"}) == (name in {*AS_TEXT, "task_responses"}), f"{name}: {types}"
