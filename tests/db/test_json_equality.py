"""One notion of equality, by value: what counts as changed, as a row of the history, and as a difference."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from scalesync.annotations.urls import unsigned_digest
from scalesync.db.database import Database
from scalesync.db.mirror.documents import MAPPINGS, PROJECTS, TASKS, StreamMapping, to_row
from scalesync.db.schema.mirror import tasks
from scalesync.db.sync import comparison
from scalesync.models.sync import WriteCounts
from scalesync.parsing.json_equality import canonical, repeated_names, same_content, same_value
from scalesync.parsing.row_parser import Row
from tests.db.test_changes import seen
from tests.db.test_documents import exactly, given_back, texts
from tests.db.test_upserts import at, held, write

LONG = "9" * 30
SAME = {
    "blanks": ('{"a":[1,"x"]}', ' { "a" : [ 1 , "x" ] } '),
    "order of names": ('{"a":1,"b":2}', '{"b":2,"a":1}'),
    "a whole number with a point": ("1", "1.0"),
    "trailing zeros": ("1.5", "1.500"),
    "an exponent": ("100", "1e2"),
    "an exponent with signs and zeros": ("0.015", "1.5E-02"),
    "negative zero": ("0", "-0.0"),
    "zero with an exponent": ("0", "0e131072"),
    "escapes": ('"caf\u00e9"', r'"\u0063af\u00e9"'),
    "an escaped slash": ('"a/b"', r'"a\/b"'),
    "more digits than a double": ("1e23", "1" + "0" * 23),
    "many digits with an exponent": (f"{LONG}e-10", f"{LONG[:20]}.{LONG[20:]}"),
    "thousands of digits": ("1" + "0" * 6000, "1e6000"),
    "a name given twice": ('{"a":1,"a":2}', '{"a":2}'),
    "beyond what Postgres holds": ("1e200000", '"1e200000"'),
    "beyond it, digit by digit": ("9" * 140_000, '"' + "9" * 140_000 + '"'),
}
OTHER = {
    "true is not one": ("true", "1"),
    "false is not zero": ("0", "false"),
    "a text is no number": ('"1"', "1"),
    "null is not nothing": ('{"a":null}', "{}"),
    "beyond 2^53": ("9007199254740993", "9007199254740992"),
    "beyond 2^64": (LONG, LONG[:-1] + "8"),
    "a long decimal": ("0.1", "0.1000000000000000055"),
    "order of a list": ("[1,2]", "[2,1]"),
    "the first of a name given twice": ('{"a":1,"a":2}', '{"a":1}'),
    "the last digit of thousands": ("1" * 6000, "1" * 5999 + "2"),
    "case": ('"a"', '"A"'),
    "normal forms": ('"\u00e1"', '"a\u0301"'),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_a_value_is_the_same_however_it_is_spelled(one: str, other: str) -> None:
    """Both ways round, and as deep inside as one likes."""
    assert same_value(one, other)
    assert same_value(f'{{"x":[{other}]}}', f'{{"x": [{one}]}}')


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_another_value_is_another(one: str, other: str) -> None:
    """However alike the two are to some."""
    assert not same_value(one, other)
    assert not same_content(f"[{other}]", f"[{one}]")


def test_signatures_are_no_content() -> None:
    """They count as a value, for the new link is needed, and not as content."""
    first, second = (f'{{"url": "https://b.example/1?X-Amz-Signature={n}"}}' for n in "12")
    assert (same_value(first, second), same_content(first, second)) == (False, True)
    assert not same_content(first, second.replace("/1?", "/2?"))


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
@settings(deadline=None)
def test_every_number_keeps_its_value(text: str) -> None:
    """The canonical form of a number is the same number, and that of each of its spellings."""
    form = canonical(text).decode()
    assert Decimal(form) == Decimal(text)
    assert canonical(f"{Decimal(text):f}").decode() == canonical(f"{Decimal(text):E}").decode() == form


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ('{"a":1,"b":[{"a":1},{"a":2}]}', 0),
        ('{"a":1,"a":2}', 1),
        ('{"x":[{"k":{"k":1},"k":2,"k":3}]}', 2),
        ('{"k": 1, "k": 2}', 1),
        ('{"k" : 1, "j" : 2}', 0),
        (r'{"k":1,"\u006b":2}', 1),
        (r'{"a":"\u0022:","k":1,"k":2}', 1),
        (r'{"a":"\":","b\"":1}', 0),
        ('{"n":1e400,"n":2}', 1),
        ("[" * 5000, 0),
    ],
)
def test_names_given_twice_are_counted(text: str, times: int) -> None:
    """In the same object, wherever that is."""
    assert repeated_names(text) == times


def spelled(kind: StreamMapping, text: str) -> tuple[Row, Row]:
    """Return the row of a document, and that of the same spelled in another way."""
    given = json.loads(text, parse_float=Decimal)
    again = json.dumps(dict(reversed(given.items())), indent=2, default=float)
    return to_row(kind, text.encode()), to_row(kind, again.encode())


DOCUMENTS = {
    "tasks": '{"task_id":"a","status":"completed","priority":30,"params":{"b":1.50,"a":[100]},"x":{"n":2.0}}',
    "batches": '{"name":"a","status":"staging","metadata":{"b":1,"a":2.50}}',
    "projects": '{"name":"a","type":"x","param_history":[{"version":0,"n":2.50,"a":1}]}',
}


@pytest.mark.parametrize("kind", MAPPINGS.values(), ids=MAPPINGS)
def test_another_spelling_is_no_change(database: Database, kind: StreamMapping) -> None:
    """Not of any kind of object; it is not even looked at twice, and an older copy of it is none either."""
    first, second = spelled(kind, DOCUMENTS[kind.table.name])
    assert first.digest != second.digest
    write(database, kind, [first], at(0))

    assert write(database, kind, [second], at(1)) == WriteCounts(unchanged=1)
    assert write(database, kind, [first], at(-1)) == WriteCounts(unchanged=1)
    assert held(database, kind.table)["a"]["synced_at"] == at(0)


def test_another_value_is_a_change(database: Database) -> None:
    """Of one digit in a number that a double cannot tell from the other, too."""
    for number, minutes in (("9007199254740993", 0), ("9007199254740992", 1)):
        text = f'{{"task_id":"a","metadata":{{"n":{number}}}}}'
        outcome = write(database, TASKS, [to_row(TASKS, text.encode())], at(minutes))
        assert outcome == (WriteCounts(changed=1) if minutes else WriteCounts(new=1))


@pytest.mark.parametrize(
    "again",
    [
        '{"annotations": [ {"label": "car", "left": 1} ]}',
        '{"annotations":[{"left":1.0,"label":"car"}]}',
        r'{"annotations":[{"label":"\u0063ar","left":1e0}]}',
    ],
)
def test_a_response_in_another_spelling_is_no_row_of_the_history(database: Database, again: str) -> None:
    """Even where the task changed in something else; another response is one, from the digest before."""
    response = '{"annotations":[{"label":"car","left":1}]}'
    other = '{"annotations":[{"label":"bus","left":1}]}'
    for minutes, said, status in ((0, response, "a"), (1, again, "b"), (2, other, "b"), (3, again, "b")):
        text = f'{{"task_id":"a","type":"annotation","status":"{status}","response":{said}}}'
        write(database, TASKS, [to_row(TASKS, text.encode())], at(minutes))

    fields = [(field, before, after) for _, field, before, after in seen(database)]
    assert fields[:2] == [("status", None, "a"), ("status", "a", "b")]
    (_, first, second), (_, third, _fourth) = fields[2:]
    assert first == unsigned_digest(response)
    assert second == third == unsigned_digest(other)


def differing(database: Database, kind: StreamMapping, text: str) -> tuple[str, ...]:
    """Return what `verify` calls different of an object here and a document of the API."""
    row = to_row(kind, text.encode())
    with database.read() as conn:
        return comparison.differing(
            kind, row, comparison.local_rows(conn, kind, [row.key], whole=True)[row.key]
        )


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_is_here_is_no_difference(database: Database, one: str, other: str) -> None:
    """Of what either database gives back of a value, whichever spelling came first."""
    for field in ("metadata", "response", "unknown"):
        text = f'{{"task_id":"a","{field}":{{"v":%s}}}}'
        for first in (one, other):
            write(database, TASKS, [to_row(TASKS, (text % first).encode())], at(0))
            assert differing(database, TASKS, text % one) == differing(database, TASKS, text % other) == ()


def test_a_field_that_moves_between_column_and_the_rest_is_no_difference(database: Database) -> None:
    """A number with a point stands in `extra`, not in its column; but a column must say what `extra` does."""
    given = '{"task_id":"a","priority":30,"created_at":"2024-01-01T00:00:00Z"}'
    write(database, TASKS, [to_row(TASKS, given.encode())], at(0))
    assert differing(database, TASKS, given.replace("30", "30.0")) == ()
    assert differing(database, TASKS, given.replace("30", "31")) == ("priority",)
    with database.write() as conn:
        conn.execute(tasks.update().values(created_at=at(9)))
    assert differing(database, TASKS, given) == ("created_at",)


def test_a_project_differs_in_what_was_made_of_it(database: Database) -> None:
    """Its version and params, by value."""
    text = DOCUMENTS["projects"]
    write(database, PROJECTS, [to_row(PROJECTS, text.encode())], at(0))
    assert differing(database, PROJECTS, text.replace("2.50", "25e-1")) == ()
    assert differing(database, PROJECTS, text.replace("2.50", "3")) == ("params", "param_history")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_an_object_equals_itself_with_its_names_in_any_order(data: st.DataObject) -> None:
    """Whatever its names and values are."""
    inner = st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda each: st.lists(each, max_size=3) | st.dictionaries(texts, each, max_size=3),
    )
    value = data.draw(st.dictionaries(texts, inner, max_size=5))
    again = dict(data.draw(st.permutations(list(value.items()))))
    assert same_value(json.dumps(value), json.dumps(again, ensure_ascii=False, indent=1))


@pytest.mark.parametrize("place", ["metadata", "response", "unknown", "params"])
def test_what_no_database_gives_back_is_counted(database: Database, place: str) -> None:
    """A name twice: SQLite has both, Postgres the last; in the document itself neither has the first."""
    text = f'{{"task_id":"a","x":1,"x":2,"{place}":{{"in":[{{"k":1,"k":2}}],"n":1e200000}}}}'
    outcome = write(database, TASKS, [to_row(TASKS, text.encode())], at(0))

    assert (outcome.new, outcome.values_replaced) == (1, 1 if database.is_sqlite else 3)
    assert write(database, TASKS, [to_row(TASKS, text.encode())], at(1)) == WriteCounts(unchanged=1)
    assert differing(database, TASKS, text) == ()
    assert given_back(database, TASKS, "a").count(b'"k"') == (2 if database.is_sqlite else 1)
    with database.read() as conn:
        assert conn.scalar(select(tasks.c.task_id)) == "a"


@pytest.mark.parametrize("blank", ["", " "])
def test_a_usual_document_has_nothing_replaced(database: Database, blank: str) -> None:
    """Compact or not, with presigned links or without."""
    text = f'{{"task_id":"a",{blank}"x":{blank}[{{"k":1}},{blank}{{"k":2}}],"attachmentS3Downloads":[1]}}'
    assert write(database, TASKS, [to_row(TASKS, text.encode())], at(0)) == WriteCounts(new=1)
    assert exactly(given_back(database, TASKS, "a")) == exactly(text)
