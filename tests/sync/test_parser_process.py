"""Rows that a process of its own makes are the same, and a run does without it when it ends."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.row_writes import derive_task
from scalesync.parsing.row_parser import Row
from scalesync.parsing.task_inserts import make_page_inserter
from scalesync.sync.parser_client import ParserProcess
from tests.benchmark.documents import make_tasks

_TEXTS = tuple(msgspec.Raw(task.raw) for task in make_tasks(20, 1))


def _children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def _started(parser: ParserProcess) -> tuple[Row, ...]:
    """Start it, and return the first rows that it makes."""
    parser.start()
    until = time.monotonic() + 20
    while (rows := parser.parse(_TEXTS)) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    return rows


def _process_of(parser: ParserProcess) -> int:
    """Start it, and return the id of its process."""
    before = _children()
    _started(parser)
    (process,) = _children() - before
    return process


@pytest.fixture
def parser() -> Iterator[ParserProcess]:
    """Yield one that gives its process three seconds to start, and for each page."""
    with ParserProcess(TASKS.spec, patience=3) as one:
        yield one


def test_its_rows_are_those_that_are_made_here(parser: ParserProcess) -> None:
    """With what follows from them, ready to be written."""
    expected = tuple(derive_task(TASKS.row_of(bytes(text))) for text in _TEXTS)
    assert _started(parser) == expected
    assert all(row.derived and row.derived.annotations for row in expected)


def test_it_counts_names_given_twice_where_that_is_asked_for() -> None:
    """A database that gives both back does not ask."""
    text = msgspec.Raw(b'{"task_id":"a","params":{"k":1,"k":2},"x":[{"k":1,"k":2,"k":3}]}')
    for repeats, expected in ((True, 3), (False, None)):
        with ParserProcess(TASKS.spec, repeats=repeats) as one:
            _started(one)
            rows = one.parse((text,))
            assert rows is not None
            assert rows[0].derived is not None
            assert rows[0].derived.repeated == expected


def test_its_inserts_are_those_that_are_made_here(parser: ParserProcess) -> None:
    """For a page that the mirror is not expected to have."""
    _started(parser)
    at = "2025-01-01T00:00:00.000Z"
    rows = [TASKS.row_of(bytes(text)) for text in _TEXTS]

    found = parser.inserts(_TEXTS, at)

    assert found == make_page_inserter(TASKS.spec)(rows, at)
    assert found is not None
    assert [head.key for head in found.heads] == [row.key for row in rows]


def test_many_threads_get_each_its_own_answer(parser: ParserProcess) -> None:
    """They all ask at once, and the process always has something to do."""
    _started(parser)
    pages = [tuple(_TEXTS[number : number + 1 + number % 3]) for number in range(len(_TEXTS))] * 20

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(parser.parse, pages))

    expected = [tuple(derive_task(TASKS.row_of(bytes(text))) for text in page) for page in pages]
    assert answers == expected


def test_answers_that_arrive_together_are_told_apart(parser: ParserProcess) -> None:
    """Short ones, which are in the pipe at once: none is taken for the other, and none is waited for."""
    process = _process_of(parser)
    pages = [(text,) for text in _TEXTS[:6]]

    with ThreadPoolExecutor(6) as pool:
        os.kill(process, signal.SIGSTOP)
        answers = [pool.submit(parser.parse, page) for page in pages]
        time.sleep(0.5)
        os.kill(process, signal.SIGCONT)

    expected = [(derive_task(TASKS.row_of(bytes(text))),) for (text,) in pages]
    assert [answer.result() for answer in answers] == expected


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_no_thread_waits_for_a_process_that_is_gone(parser: ParserProcess, sign: signal.Signals) -> None:
    """Each is told so, also those whose turn comes after the one that noticed it."""
    process = _process_of(parser)
    os.kill(process, sign)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(parser.parse, [_TEXTS] * 8, timeout=20)) == [None] * 8


def test_before_it_is_started_it_makes_none(parser: ParserProcess) -> None:
    """Whoever asks types by himself, then and while the process starts."""
    assert parser.parse(_TEXTS) is None


def test_what_it_cannot_read_is_left_to_others(parser: ParserProcess) -> None:
    """They know what to say of it; the next page is typed again."""
    expected = _started(parser)
    assert parser.parse((*_TEXTS, msgspec.Raw(b'{"no": "id"}'))) is None
    assert parser.parse((msgspec.Raw(b"[]"),)) is None
    assert parser.parse(_TEXTS) == expected


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_gone_or_hangs_stops_nobody(parser: ParserProcess, sign: signal.Signals) -> None:
    """Its users go on by themselves, at once or after its patience, and it is ended with the rest."""
    process = _process_of(parser)
    os.kill(process, sign)
    assert parser.parse(_TEXTS) is None
    assert parser.parse(_TEXTS) is None


def test_it_ends_with_the_block() -> None:
    """And nothing of it is left."""
    before = _children()
    with ParserProcess(TASKS.spec) as one:
        _started(one)
        assert _children() != before
    assert _children() == before
