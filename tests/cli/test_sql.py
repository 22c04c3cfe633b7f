"""`scalesync sql`: questions from the command line, and their answers in three forms."""

import os
import pty
import signal
import subprocess
import time
from contextlib import closing

import pytest

from tests.db.test_readonly_sql import STUBBORN
from tests.support.cli_process import COMMAND, Scalesync, check_refusal

ODD = "SELECT 1234 AS n, char(27) || '[2J' AS evil, '=1' AS formula, NULL AS no, x'00ff' AS bytes"


def test_an_answer_comes_in_three_forms(empty_mirror: Scalesync) -> None:
    """A table for people, in which nothing commands a terminal; CSV, also when piped; JSON lines."""
    table, csv, piped, lines = (
        empty_mirror("sql", *words, ODD)
        for words in (("--format", "table"), ("--format", "csv"), (), ("--format", "json"))
    )

    assert table.out == ("    n  evil     formula  no  bytes\n1,234  \\x1b[2J  =1       -   00ff\n")
    assert csv.out == piped.out == "n,evil,formula,no,bytes\n1234,\x1b[2J,'=1,,00ff\n"
    assert lines.lines == [{"n": 1234, "evil": "\x1b[2J", "formula": "=1", "no": None, "bytes": "00ff"}]
    assert {done.code for done in (table, csv, piped, lines)} == {0}
    assert {done.err for done in (table, csv, piped, lines)} == {""}


def test_a_statement_on_stdin_is_answered_on_a_terminal(empty_mirror: Scalesync) -> None:
    """Of any length, with lines and comments; the answer is a table there, without --format."""
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
        done = subprocess.run(
            [*COMMAND, "sql", "-"], cwd=empty_mirror.directory, env=empty_mirror.environment(),
            input=b"-- two\nSELECT 1234 AS n,\n'x' AS name;\n", stdout=theirs, stderr=subprocess.PIPE,
            check=False,
        )  # fmt: skip
        os.close(theirs)
        shown = terminal.read(1_000)
    assert (done.returncode, done.stderr, b"1,234  x" in shown) == (0, b"", True)


def test_times_look_as_in_the_documents(mirror: Scalesync) -> None:
    """A time and a document give the same text."""
    (task,) = mirror("export", "tasks", "--limit", "1").lines
    query = f"SELECT created_at FROM tasks WHERE task_id = '{task['task_id']}'"
    assert mirror("sql", "--format", "json", query).lines == [{"created_at": task["created_at"]}]


def test_times_and_json_on_postgres(scalesync: Scalesync, postgres_url: str) -> None:
    """The same form of times; what the database knows as JSON is nested."""
    ready = scalesync.having(SCALESYNC_DB=postgres_url)
    query = "SELECT timestamptz '2026-01-02 03:04:05.6789+01' AS at, '{\"a\": [1]}'::jsonb AS j"
    assert ready("sql", "--format", "json", query).lines == [
        {"at": "2026-01-02T02:04:05.678Z", "j": {"a": [1]}}
    ]
    assert ready("sql", query).out == 'at,j\n2026-01-02T02:04:05.678Z,"{""a"": [1]}"\n'
    check_refusal(ready("sql", "COPY tasks TO PROGRAM 'cat'"), 2, "COPY", "only reads")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT nope", "no such column: nope"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("DELETE FROM tasks", "readonly"),
        ("ATTACH 'other.db' AS o", "attached"),
        ("", "no rows"),
    ],
)
def test_a_wrong_statement_ends_with_2(statement: str, words: str, empty_mirror: Scalesync) -> None:
    """The sentence has the database's words, and nothing is made or changed."""
    before = empty_mirror.mirror.read_bytes()
    check_refusal(empty_mirror("sql", statement), 2, words, "only reads")
    assert (empty_mirror.mirror.read_bytes(), len(list(empty_mirror.directory.iterdir()))) == (before, 1)


def test_what_takes_too_long_ends_with_1(empty_mirror: Scalesync) -> None:
    """With the way to give it more time."""
    endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n FROM x) SELECT count(*) FROM x"
    check_refusal(empty_mirror("sql", "--timeout", "0.2s", endless), 1, "longer than 0.2 s", "--timeout")


def test_without_a_mirror_it_ends_with_5(scalesync: Scalesync) -> None:
    """And makes none."""
    check_refusal(scalesync("sql", "SELECT 1"), 5, "No mirror", "scalesync init")
    assert list(scalesync.directory.iterdir()) == []


@pytest.mark.parametrize("number", [None, signal.SIGINT])
def test_one_long_function_does_not_outlive_its_command(
    number: signal.Signals | None, empty_mirror: Scalesync
) -> None:
    """It would take hours: --timeout ends it, and so does Ctrl-C."""
    limit = "1s" if number is None else "1h"
    process = Scalesync(empty_mirror.directory, empty_mirror.variables)
    with process.started("sql", "--timeout", limit, STUBBORN.format(50_000_000)) as asking:
        if number is not None:
            time.sleep(2)
            asking.send_signal(number)
        done = process.ended(asking)
    assert "Traceback" not in done.err
    if number is None:
        check_refusal(done, 1, "longer than 1 s", "--timeout")
    else:
        assert (done.code, done.err) == (130, "Interrupted.\n")
