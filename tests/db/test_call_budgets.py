"""What writing a task may cost, in figures that are the same on every machine.

Each bound is what was counted when it was written, and about a fifth more.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from types import FrameType

import pytest
from sqlalchemy import Engine, event

from scalesync.db.database import Database
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.row_writes import derive_task
from scalesync.db.mirror.upsert import write_rows
from scalesync.models.changes import SeenBy
from scalesync.parsing.row_parser import Row
from tests.benchmark.documents import make_tasks

_NUMBER = 1_000
_NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def texts() -> list[bytes]:
    """Return tasks with five boxes each, as the API sends them."""
    return [task.raw for task in make_tasks(_NUMBER, 1)]


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Count, by its first word, what is sent to any database within the block."""
    words: Counter[str] = Counter()

    def note(*given: object) -> None:
        words[str(given[2]).split(maxsplit=1)[0]] += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield words
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@contextmanager
def calls() -> Iterator[list[int]]:
    """Count the calls of Python's functions and of C's within the block, in this thread."""
    number = count()
    total = [0]

    def note(_frame: FrameType, what: str, _argument: object) -> None:
        if what in {"call", "c_call"}:
            next(number)

    sys.setprofile(note)
    try:
        yield total
    finally:
        sys.setprofile(None)
        total[0] = next(number)


def _rows(texts: list[bytes]) -> list[Row]:
    return [derive_task(to_row(TASKS, text)) for text in texts]


def _write(database: Database, rows: list[Row]) -> None:
    with database.write() as conn:
        write_rows(conn, TASKS, rows, SeenBy(_NOW))


def test_many_tasks_take_few_statements(database: Database, texts: list[bytes]) -> None:
    """A thousand of them are written with all their annotations, and found unchanged again."""
    rows = _rows(texts)
    with statements() as new:
        _write(database, rows)
    with statements() as again:
        _write(database, rows)
    assert new.total() <= (95 if database.is_sqlite else 13)
    assert again.total() <= 3


def test_reading_a_task_takes_few_calls(texts: list[bytes]) -> None:
    """From its text to its row with what follows from it."""
    _rows(texts[:10])
    with calls() as total:
        _rows(texts)
    assert total[0] / _NUMBER <= 140


def test_a_field_that_nobody_knows_costs_little(texts: list[bytes]) -> None:
    """On each annotation; its first object shows where it goes, and the others follow."""
    unknown = [text.replace(b'"type":"box"', b'"type":"box","confidence":0.5') for text in texts]
    assert unknown != texts
    _rows([texts[0], unknown[0]])
    with calls() as known_only:
        _rows(texts)
    with calls() as total:
        _rows(unknown)
    assert total[0] <= 1.2 * known_only[0]


def test_writing_a_task_takes_few_calls(database: Database, texts: list[bytes]) -> None:
    """With all its annotations; none is made for each of their values."""
    rows = _rows(texts)
    _write(database, rows[:200])
    with calls() as total:
        _write(database, rows[200:])
    assert total[0] / (_NUMBER - 200) <= (60 if database.is_sqlite else 100)
