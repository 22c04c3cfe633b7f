"""JSON lines and CSV: any value of any database, and nothing that a spreadsheet would run."""

import csv
import io
import json
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import Any

import pytest

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.export.readonly_sql import run_query
from scalesync.export.counts import ExportCounts
from scalesync.export.csv_jsonl import csv_lines, json_lines, to_json
from scalesync.models.columns import Column, ColumnKind
from tests.support.databases import opened

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
A, J = Column("a", ColumnKind.TEXT), Column("j", ColumnKind.JSON)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (AT, "2026-01-02T03:04:05.678Z"),
        (AT.replace(tzinfo=None), "2026-01-02T03:04:05.678"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(1, 2), "01:02:00"),
        (timedelta(hours=1), "1:00:00"),
        (b"\x00\xff", "00ff"),
        (Decimal("12345678901234567890.10"), Decimal("12345678901234567890.10")),
        (float("nan"), None),
        (Decimal("NaN"), None),
        (float("inf"), None),
        (ip_address("::1"), "::1"),
        ([1, AT, [b"\x01", None]], [1, "2026-01-02T03:04:05.678Z", ["01", None]]),
        (True, True),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_every_value_has_a_form_in_json(value: object, shown: object) -> None:
    """Times as the API writes them, bytes in hexadecimal, numbers exactly, and the rest as text."""
    assert to_json(value) == shown
    (line,) = json_lines([A], [[value]])
    assert json.loads(line, parse_float=Decimal)["a"] == shown


def test_json_columns_are_nested_on_one_line() -> None:
    """With their numbers as they stand; NULL is null; text that looks like JSON stays text."""
    rows: list[Sequence[object]] = [[" 1", '{"n":\n [1.10, 1e400]}'], [None, None], ["{}", "null"]]
    assert list(json_lines([A, J], rows)) == [
        b'{"a":" 1","j":{"n":[1.10,1e400]}}',
        b'{"a":null,"j":null}',
        b'{"a":"{}","j":null}',
    ]


def test_json_that_is_none_for_us_is_still_one_line() -> None:
    """Nested too deeply to be laid out, or with half a character: it comes as the database has it."""
    for given in ("[" * 3000 + "\n" + "]" * 3000, '{"u":\n"\\ud800"}'):
        (line,) = json_lines([J], [[given]])
        assert line == b'{"j":' + given.replace("\n", " ").encode() + b"}"


def test_columns_of_one_name_are_told_apart() -> None:
    """No value hides another, whatever the names are."""
    names = ("a", "a", "a_2", "a", "a_3", "b")
    columns = [Column(name, ColumnKind.UNDECLARED) for name in names]
    (line,) = json_lines(columns, [range(6)])
    found: dict[str, int] = json.loads(line)
    assert (list(found.values()), found["a"], found["a_2"], found["b"]) == ([0, 1, 2, 3, 4, 5], 0, 2, 5)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_text_that_a_spreadsheet_would_run_is_defused(text: str) -> None:
    """An apostrophe is put before it, in names of columns too; JSON is not text, nor is a number."""
    columns = [Column(text, ColumnKind.TEXT), J, A, A]
    rows = list(
        csv.reader(
            io.StringIO(
                "\n".join(map(bytes.decode, csv_lines(columns, [[text, "-1", -1, -1.5]]))), newline=""
            )
        )
    )
    assert rows == [[f"'{text}", "j", "a", "a"], [f"'{text}", "-1", "-1", "-1.5"]]


def test_csv_can_be_read_back() -> None:
    """Commas, quotes, both kinds of line ends and any letters; NULL is empty, and a list is JSON."""
    texts = ['a,"b"', "a\nb", "a\rb", "a\r\nb", "ß東😀", " ", "x=1"]
    given: list[Sequence[object]] = [[text, None] for text in texts] + [
        [True, AT],
        [[1, "é"], 0.1],
        ["\udcff", b"\x01"],
    ]
    data = b"".join(line + b"\n" for line in csv_lines([A, A], given)).decode()
    assert list(csv.reader(io.StringIO(data, newline="")))[1:] == [
        *([text, ""] for text in texts),
        ["true", "2026-01-02T03:04:05.678Z"],
        ['[1,"é"]', "0.1"],
        ["?", "01"],
    ]


def test_values_of_postgres_have_a_form(postgres_url: str) -> None:
    """Whatever its driver makes of the types that a person may ask for."""
    statement = """SELECT 1.50 AS n, '{1,2}'::int[] AS l, '{"b": [1]}'::json AS j, '[1]'::jsonb AS b,
        '\\x00ff'::bytea AS y, '10.0.0.1'::inet AS i, '1 day'::interval AS d, 'NaN'::float8 AS f,
        timestamptz '2026-01-01 01:00+01' AS t, int4range(1, 3) AS r, false AS u,
        ARRAY['{"a": 1}'::jsonb] AS a"""
    with opened(postgres_url) as database:
        assert printed(database, statement) == [
            {
                "n": 1.5, "l": [1, 2], "j": {"b": [1]}, "b": [1], "y": "00ff", "i": "10.0.0.1",
                "d": "1 day, 0:00:00", "f": None, "t": "2026-01-01T00:00:00.000Z", "r": "[1, 3)", "u": False,
                "a": ['{"a": 1}'],
            }
        ]  # fmt: skip


def printed(database: Database, statement: str) -> list[dict[str, Any]]:
    """Return an answer as its JSON lines say it."""
    with run_query(database, statement, seconds=30, clock=Clock()) as answer:
        return [json.loads(line) for line in json_lines(answer.columns, answer.rows)]


def test_an_answer_is_printed_in_flat_memory(database: Database) -> None:
    """4,000 rows of 5,000 bytes, as CSV and as JSON, a few at a time."""
    statement = (
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 4000) SELECT n, {} FROM x"
    )
    long = "hex(zeroblob(2500))" if database.is_sqlite else "repeat('0', 5000)"
    for write in (csv_lines, json_lines):
        with run_query(database, statement.format(long), seconds=60, clock=Clock()) as answer:
            tracemalloc.start()
            total = sum(map(len, write(answer.columns, answer.rows)))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert total > 20_000_000
        assert peak < 12_000_000


def test_csv_counts_what_it_writes_in_another_form() -> None:
    """Empty texts look like NULL there, and a formula has an apostrophe; JSON and numbers have none."""
    tally = ExportCounts()
    rows = [("", "=1", "[]", None), ("a", "-1", "-1", -1), ("'=1", None, "", "")]
    columns = [A, Column("b", ColumnKind.TEXT), J, Column("d", ColumnKind.TEXT)]
    assert len(list(csv_lines(columns, rows, tally))) == 4
    assert tally.altered == {
        "texts with an apostrophe before what could be a formula": 2,
        "empty texts, which CSV has no other form for than for NULL": 3,
    }
