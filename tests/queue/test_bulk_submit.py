"""Many tasks from one source: all of them are queued, or none, and every bad line is named."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.queue.enqueue import enqueue
from scalesync.db.schema.queue import commands
from scalesync.errors import ConfigurationError, SubmissionError, SubmissionProblem
from scalesync.queue import bulk_submit, new_commands
from scalesync.queue.bulk_submit import IdRanges, SubmitResult, TaskTemplate

PLAIN = TaskTemplate("imageannotation", {"project": "P"})
MANY = 20_000


def submit(
    database: Database, given: Iterable[bytes | Mapping[str, Any]], recipe: TaskTemplate = PLAIN
) -> SubmitResult:
    """Queue everything in one transaction."""
    with bulk_submit.validate(given, recipe) as spool, database.write() as conn:
        return bulk_submit.enqueue(conn, spool)


def refused(
    database: Database, given: Iterable[bytes | Mapping[str, Any]], recipe: TaskTemplate = PLAIN
) -> tuple[SubmissionProblem, ...]:
    """Return why it is refused; nothing of it is in the queue then."""
    before = payloads(database)
    with pytest.raises(SubmissionError) as caught:
        submit(database, given, recipe)
    assert payloads(database) == before
    return caught.value.problems


def payloads(database: Database) -> list[dict[str, Any]]:
    """Return the payloads of all commands, oldest first."""
    with database.read() as conn:
        return [json.loads(text) for text in conn.scalars(select(commands.c.payload).order_by(commands.c.id))]


def bodies(database: Database) -> list[dict[str, Any]]:
    """Return what the queued tasks will be created from, less a unique_id that was made for them."""
    found = [payload["body"] for payload in payloads(database)]
    return [
        {name: value for name, value in body.items() if not str(value).startswith("scalesync-")}
        for body in found
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not json\n", "not JSON"),
        (b'{"a": 1,}\n', "not JSON"),
        (b'{"a": NaN}\n', "NaN is not a number"),
        (b'{"a": 1e999}\n', "cannot be sent as JSON"),
        (b'{"a": 1, "a": 2}\n', "the field 'a' occurs twice"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'["a"]\n', "not a JSON object"),
        (b"null\n", "not a JSON object"),
        (b'\xff\xfe{"a": 1}\n', "not UTF-8"),
        (b'{"a": "\\u0000"}\n', "cannot be stored"),
        (b'{"a": "\\ud800"}\n', "cannot be stored"),
        (b'{"unique_id": 7}\n', "unique_id must be a text"),
        (b'{"batch": ""}\n', "batch must be a text"),
        (b'{"project": ["P"]}\n', "project must be a text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_line_is_named_and_nothing_is_queued(line: bytes, words: str, sqlite_url: str) -> None:
    """By its number and the reason; the good lines around it are not queued either."""
    database = Database.open(sqlite_url)
    try:
        [problem] = refused(database, [b'{"a": "good"}\n', line, b'{"b": "good"}'])
    finally:
        database.close()

    assert (problem.number, words in problem.reason) == (2, True), problem


def test_every_bad_line_is_named_at_once(database: Database) -> None:
    """What is wrong in itself, what clashes with a command, a line or a seal: in order of lines."""
    with database.write() as conn:
        enqueue(
            conn, new_commands.create_task("imageannotation", {"project": "P", "unique_id": "here", "a": 1})
        )
        enqueue(conn, new_commands.finalize_batch("closed"))
    problems = refused(
        database,
        [
            b'{"unique_id": "one", "a": 1}',
            b'{"unique_id": "here", "a": 2}',
            b"{",
            b'{"unique_id": "one", "a": 2}',
            b'{"batch": "closed"}',
            b'{"unique_id": "here", "a": 1}',
        ],
    )

    assert [problem.number for problem in problems] == [2, 3, 4, 5]
    told = " ".join(problem.reason for problem in problems)
    for words in ("command 1", "not JSON", "Number 1 has the same unique_id 'one'", "closed"):
        assert words in told


def test_the_same_source_again_queues_nothing(database: Database) -> None:
    """Whether tasks have a unique_id of their own or not; the commands of the first time are named."""
    source = [b'{"unique_id": "mine", "a": 1}', b'{"a": 2}', b'{"a": 3}']

    first, again = submit(database, source), submit(database, source)

    assert (list(first.queued), list(first.already_queued)) == ([1, 2, 3], [])
    assert (list(again.queued), sorted(again.already_queued)) == ([], [1, 2, 3])
    assert len(payloads(database)) == 3


def test_equal_lines_are_one_task(database: Database) -> None:
    """With or without a unique_id, in the same file."""
    submitted = submit(database, [b'{"a": 1}', b'{"a": 1}', b'{"unique_id": "u"}', b'{"unique_id": "u"}'])

    assert (list(submitted.queued), list(submitted.already_queued)) == ([1, 2], [1, 2])


def test_duplicates_are_tasks_of_their_own_when_allowed(database: Database) -> None:
    """Only those without a unique_id of their own."""
    recipe = TaskTemplate("imageannotation", allow_duplicates=True)
    source = [b'{"a": 1}', b'{"a": 1}', b'{"unique_id": "u"}', b'{"unique_id": "u"}']

    assert len(submit(database, source, recipe).queued) == 3
    assert len(submit(database, source, recipe).queued) == 2


def test_defaults_give_way_to_what_a_line_says(database: Database) -> None:
    """A line's null takes a default away; blank lines and a byte order mark are no tasks."""
    recipe = TaskTemplate("imageannotation", {"project": "P", "batch": "B", "a": {"b": 1}})
    source = [b'\xef\xbb\xbf{"batch": "own"}\r\n', b" \n", b"\n", b'{"batch": null, "a": 2}']

    submit(database, source, recipe)

    assert bodies(database) == [
        {"project": "P", "batch": "own", "a": {"b": 1}},
        {"project": "P", "a": 2},
    ]


def test_blank_lines_count(database: Database) -> None:
    """A number leads to the line in an editor."""
    assert [problem.number for problem in refused(database, [b"\n", b"{}", b"\n", b"oops"])] == [4]


@pytest.mark.parametrize(
    ("line", "unique_id"),
    [
        ({"id": "a b"}, "a b"),
        ({"id": 12345678901234567890123}, "12345678901234567890123"),
        ({"id": 7, "unique_id": "7"}, "7"),
    ],
)
def test_a_field_gives_the_unique_id_and_stays(
    line: dict[str, object], unique_id: str, database: Database
) -> None:
    """As text or as a whole number of any size."""
    submit(database, [line], TaskTemplate("imageannotation", unique_id_field="id"))

    assert payloads(database)[0]["body"] == {**line, "unique_id": unique_id}


def test_a_path_reaches_into_objects(database: Database) -> None:
    """Unless a field has the very name, dots included."""
    recipe = TaskTemplate("imageannotation", unique_id_field="metadata.image.id")

    submit(database, [{"metadata": {"image": {"id": "deep"}}}, {"metadata.image.id": "flat"}], recipe)

    assert [payload["body"]["unique_id"] for payload in payloads(database)] == ["deep", "flat"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"a": 1}, "is not there"),
        ({"id": None}, "is not there"),
        ({"id": 1.5}, "neither a text nor a whole number"),
        ({"id": True}, "neither a text nor a whole number"),
        ({"id": {"x": 1}}, "neither a text nor a whole number"),
        ({"id": ""}, "not empty"),
        ({"id": "a", "unique_id": "b"}, "'b'"),
    ],
)
def test_a_field_that_gives_no_unique_id_is_a_bad_line(
    line: dict[str, object], words: str, database: Database
) -> None:
    """Missing, of another kind, empty, or at odds with the task's own unique_id."""
    [problem] = refused(database, [line], TaskTemplate("imageannotation", unique_id_field="id"))

    assert words in problem.reason


def test_what_is_no_mapping_is_a_bad_one(database: Database) -> None:
    """From Python, too."""
    [problem] = refused(database, [{"a": 1}, "text"])  # type: ignore[list-item]

    assert (problem.number, "mapping" in problem.reason) == (2, True)


def test_a_slow_source_keeps_nobody_waiting(database: Database) -> None:
    """While lines come in, others can write: no transaction is open."""

    def slow() -> Iterator[bytes]:
        for number in range(3):
            with database.write() as conn:
                enqueue(conn, new_commands.update_project("other", {"number": number}))
            yield b'{"a": %d}' % number

    assert len(submit(database, slow()).queued) == 3


def test_a_source_that_breaks_off_queues_nothing(database: Database) -> None:
    """The reason is said in a sentence."""

    def broken() -> Iterator[bytes]:
        yield b'{"a": 1}'
        raise OSError(5, "Input/output error")

    with pytest.raises(ConfigurationError, match="Input/output error"):
        submit(database, broken())
    assert payloads(database) == []


def test_long_runs_of_ids_take_no_room() -> None:
    """They are kept by their ends, and read in order."""
    ids = IdRanges()
    for number in (*range(1, 100_000), 200_000, 7):
        ids.add(number)

    assert (ids.runs, len(ids)) == ([(1, 99_999), (200_000, 200_000), (7, 7)], 100_001)
    assert list(ids)[-3:] == [99_999, 200_000, 7]


_PROGRAM = """
import resource, sys, time
from scalesync.db.database import Database
from scalesync.queue import bulk_submit
lines = (b'{"image": %d, "instruction": "Draw a box around every car.", "metadata": {"row": %d}}' % (n, n)
         for n in range(int(sys.argv[2])))
database = Database.open(sys.argv[1])
template = bulk_submit.TaskTemplate("imageannotation")
with bulk_submit.validate(lines, template) as spool, database.write() as conn:
    count = len(bulk_submit.enqueue(conn, spool).queued)
database.close()
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_many_lines_take_no_memory(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    """The memory of 2,000 lines, but for a few MB, is enough for ten times as many."""

    def measured(url: str, count: int) -> tuple[int, int]:
        command = [sys.executable, "-c", _PROGRAM, url, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        queued, kibibytes = done.stdout.split()
        return int(queued), int(kibibytes)

    _, little = measured(sqlite_url, 2_000)
    for url in (sqlite_url, postgres_url):
        queued, much = measured(url, MANY)
        assert queued >= MANY - 2_000
        assert much < little + 20_000
