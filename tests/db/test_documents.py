"""Documents survive both databases: columns and `extra` give back what the API sent."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import (
    BATCHES,
    MAPPINGS,
    PROJECTS,
    TASKS,
    StreamMapping,
    to_row,
    versions_of,
)
from scalesync.db.mirror.query import find
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.schema.mirror import tasks
from scalesync.errors import InconsistentPageError
from scalesync.json_sanitizing import sanitize
from scalesync.models.changes import SeenBy
from scalesync.parsing.row_parser import Row

SERVED_AT = datetime(2024, 1, 1, tzinfo=UTC)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
numbers = st.integers() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
instants = st.datetimes().map(lambda instant: instant.isoformat(timespec="milliseconds") + "Z")
odd_instants = st.sampled_from(
    [
        "2023-10-11",
        "2023-10-11T18:36:21Z",
        "2023-10-11T18:36:21.350123Z",
        "2023-10-11T18:36:21.350+02:00",
        "2023-W41-3T18:36:21.350Z",
        "2023-02-30T00:00:00.000Z",
        "2023-10-11T24:00:00.000Z",
        "0001-01-01T00:00:00.000Z",
        "0001-01-01T00:00:00.000+10:00",
        "9999-12-31T23:59:59.999-10:00",
        "now",
        "",
    ]
)
values = st.recursive(
    scalars | instants | odd_instants,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
ours = ["extra", "digest", "synced_at", "missing_since", "counted_at", "tasks_pending", "version", "params"]


def documents(kind: StreamMapping) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents with anything in known, unknown and mirror-only fields."""
    names = st.sampled_from([*(field.name for field in kind.mapped_fields), *ours, "param_history"]) | texts
    return st.builds(
        lambda fields, key: {**fields, kind.key: key},
        st.dictionaries(names, values, max_size=10),
        texts.filter(bool),
    )


def exactly(text: str | bytes) -> object:
    """Return JSON as values that are equal only where the JSON is: numbers by value, booleans apart."""
    return _apart(json.loads(text, parse_int=Decimal, parse_float=Decimal))


def _apart(value: object) -> object:
    if isinstance(value, bool):
        return f"the boolean {value}"
    if isinstance(value, list):
        return [_apart(each) for each in value]
    if isinstance(value, dict):
        return {name: _apart(each) for name, each in value.items()}
    return value


def written(database: Database, kind: StreamMapping, text: str | bytes) -> Row:
    """Write one document and return its row."""
    row = to_row(kind, text.encode() if isinstance(text, str) else text)
    with database.write() as conn:
        write_rows(conn, kind, [row], SeenBy(SERVED_AT))
    return row


def given_back(database: Database, kind: StreamMapping, key: str) -> bytes:
    """Return the document that the database holds."""
    with database.read() as conn:
        document = find(conn, kind, key)
    assert document is not None
    return document


def column(database: Database, name: str) -> object:
    """Return what the only task has in a column."""
    with database.read() as conn:
        return conn.execute(select(tasks.c[name])).scalar_one()


@pytest.mark.parametrize("kind", MAPPINGS.values(), ids=MAPPINGS)
@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_document_comes_back(database: Database, kind: StreamMapping, data: st.DataObject) -> None:
    """Whatever JSON stands in known, unknown and mirror-only fields comes back exactly."""
    document = data.draw(documents(kind))
    text = json.dumps(document, ensure_ascii=data.draw(st.booleans()))
    with database.write() as conn:
        conn.execute(delete(kind.table))
    row = written(database, kind, text)
    assert exactly(given_back(database, kind, row.key)) == exactly(text)


RECORDED = {
    "task_id": "5c849c3fe95619006b071dd4",
    "created_at": "2019-03-10T05:10:23.260Z",
    "completed_at": "2019-03-10T05:10:25.224Z",
    "callback_url": "http://www.example.com/callback",
    "type": "segmentannotation",
    "status": "completed",
    "instruction": "Please segment the image.",
    "params": {"attachment": "http://example.com/a.jpg", "labels": ["road", "lane marking"], "min": 0},
    "is_test": True,
    "urgency": "day",
    "metadata": {},
    "processed_attachments": [],
    "response": {"annotations": {"labeled": {"road": None}}, "labelMapping": {"road": {"index": 1}}},
}
BATCH = {
    "name": "kitti / 2",
    "project": "kitti",
    "status": "in_progress",
    "callback": None,
    "created_at": "2023-10-11T18:36:21.350Z",
    "metadata": {"owner": "jo"},
    "tasks_pending": 7,
}
PROJECT = {
    "name": "kitti",
    "type": "imageannotation",
    "created_at": "2023-10-11T18:36:21.350Z",
    "archived": False,
    "param_history": [
        {"version": 0, "created_at": "2023-10-11T18:36:21.350Z", "instruction": "a"},
        {"version": 1, "created_at": "2023-10-12T18:36:21.350Z", "instruction": "b", "n": 1.50},
    ],
}


@pytest.mark.parametrize(("kind", "document"), [(TASKS, RECORDED), (BATCHES, BATCH), (PROJECTS, PROJECT)])
def test_usual_documents_come_back(database: Database, kind: StreamMapping, document: dict[str, Any]) -> None:
    """Documents of the shapes that the API was recorded with come back, compact."""
    row = written(database, kind, json.dumps(document))
    back = given_back(database, kind, row.key)
    assert json.loads(back) == document
    assert len(back) == len(json.dumps(document, separators=(",", ":")))


@pytest.mark.parametrize(
    ("name", "text", "held"),
    [
        ("priority", "30", 30),
        ("priority", "30.0", None),
        ("priority", "30.5", None),
        ("priority", "9223372036854775807", 2**63 - 1),
        ("priority", "9223372036854775808", None),
        ("priority", "-0", None),
        ("priority", '"30"', None),
        ("is_test", "false", False),
        ("is_test", "0", None),
        ("project", '{"name": "kitti"}', None),
        ("project", "null", None),
        ("project", '""', ""),
        ("project", f'"{"p" * 3000}"', None),
        ("instruction", f'"{"p" * 3000}"', "p" * 3000),
        ("tags", "null", None),
        ("created_at", '"2023-10-11T18:36:21.350Z"', datetime(2023, 10, 11, 18, 36, 21, 350000, UTC)),
        ("created_at", '"2023-10-11T20:36:21.350999+02:00"', datetime(2023, 10, 11, 18, 36, 21, 350000, UTC)),
        ("created_at", '"2023-10-11"', datetime(2023, 10, 11, tzinfo=UTC)),
        ("created_at", "1697049381350", None),
        ("created_at", '"0999-12-31T23:59:59.999Z"', None),
        ("created_at", '"9999-12-31T23:59:59.999-01:00"', None),
        ("created_at", '"9999-12-31T23:59:59.999Z"', datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)),
    ],
)
def test_a_column_holds_what_it_can(database: Database, name: str, text: str, held: object) -> None:
    """A column holds a value that it gives back, or a time in any form; the document is whole either way."""
    document = f'{{"task_id": "a", "{name}": {text}}}'
    written(database, TASKS, document)
    assert column(database, name) == held
    assert exactly(given_back(database, TASKS, "a")) == exactly(document)


def test_json_columns_hold_any_json(database: Database) -> None:
    """`response` takes text, lists, numbers and objects alike."""
    for response in ('"text"', "[1]", "1.50", "false", '{"a": null}'):
        document = f'{{"task_id": "a", "response": {response}}}'
        written(database, TASKS, document)
        assert exactly(str(column(database, "response"))) == exactly(response)
        assert exactly(given_back(database, TASKS, "a")) == exactly(document)


def test_the_bare_minimum_comes_back(database: Database) -> None:
    """A document of nothing but its key gains nothing."""
    written(database, TASKS, '{"task_id": "a"}')
    assert given_back(database, TASKS, "a") == b'{"task_id":"a"}'
    assert column(database, "extra") is None


@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800", r"\udc00", r"\ud800A", r"\uDC00\uD800"])
@pytest.mark.parametrize("field", ["instruction", "response", "unknown"])
def test_text_that_postgres_refuses_is_replaced(database: Database, field: str, escape: str) -> None:
    """What the HTTP door makes of U+0000 and lone surrogates can be written wherever it stands."""
    body, _ = sanitize(f'{{"task_id": "a", "{field}": "x{escape}y"}}'.encode())
    written(database, TASKS, body.decode())
    text = json.loads(given_back(database, TASKS, "a"))[field]
    assert text.strip("xyA") in {"\ufffd", "\ufffd\ufffd"}


def test_escapes_that_mean_something_are_kept(database: Database) -> None:
    """A surrogate pair, and a backslash before `u0000`, stay as they are."""
    document = r'{"task_id": "a", "x": "\ud83d\ude00 \\u0000 \\\\ud800 \u00e9"}'
    written(database, TASKS, document)
    assert exactly(given_back(database, TASKS, "a")) == exactly(document)


def test_of_duplicate_names_the_last_counts(database: Database) -> None:
    """A field given twice has its last value, in columns, in `extra` and further inside."""
    document = '{"task_id":"a","status":"x","status":null,"u":1,"u":2,"params":{"b":1,"b":2}}'
    written(database, TASKS, document)
    assert exactly(given_back(database, TASKS, "a")) == exactly(document)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"null",
        b"{}",
        b'{"task_id":""}',
        b'{"task_id":7}',
        b'{"task_id":null}',
        b'{"task_id":"a"',
        b"\xff",
        b'{"task_id":"a","x":"\xff"}',
        b'{"task_id":"' + b"k" * 3000 + b'"}',
        b'{"task_id":"a","x":' + b"[" * 9999,
    ],
)
def test_what_is_no_document_is_refused(text: bytes) -> None:
    """Anything but a JSON object in UTF-8 with a key of reasonable length is a InconsistentPageError."""
    with pytest.raises(InconsistentPageError):
        to_row(TASKS, text)


def test_the_digest_ignores_order_and_volatile_fields() -> None:
    """The digest tells documents apart, whatever the order of fields, but not by presigned addresses."""
    digest = to_row(TASKS, b'{"task_id":"a","x":1,"attachmentS3Downloads":[1]}').digest
    assert digest == to_row(TASKS, b'{"attachmentS3Downloads":[2],"x":1,"task_id":"a"}').digest
    assert digest == to_row(TASKS, b'{"x":1,"task_id":"a"}').digest
    assert digest != to_row(TASKS, b'{"task_id":"a","x":2}').digest
    assert digest != to_row(TASKS, b'{"task_id":"a","x":null}').digest
    assert len(digest) == 32


def test_a_project_has_the_version_and_params_of_its_last_entry() -> None:
    """`version` and `params` come from the end of `param_history`, without version and creation time."""
    row = to_row(PROJECTS, json.dumps(PROJECT).encode())
    assert PROJECTS.value(row, "version") == 1
    assert json.loads(str(PROJECTS.value(row, "params"))) == {"instruction": "b", "n": 1.5}


@pytest.mark.parametrize("history", [None, [], {}, "x", [7], [{"version": "1"}], [{"version": 1.0}]])
def test_a_project_without_a_usable_history_is_kept(history: object) -> None:
    """A `param_history` of another shape leaves the version unknown and gives no versions."""
    row = to_row(PROJECTS, json.dumps({"name": "a", "version": 9, "param_history": history}).encode())
    assert PROJECTS.value(row, "version") is None
    assert versions_of(row) == []


def test_versions_come_from_entries_with_an_integer() -> None:
    """Each entry with an integer version is one version; of a version given twice the last counts."""
    history: list[Mapping[str, object] | None] = [
        {"version": 0, "created_at": "2023-10-11T18:36:21.350Z", "a": 1},
        {"version": 1, "created_at": "soon", "a": 2},
        None,
        {"version": 1, "a": 3},
        {"a": 4},
    ]
    row = to_row(PROJECTS, json.dumps({"name": "p", "param_history": history}).encode())
    assert [(v.project, v.version, v.created_at, v.params) for v in versions_of(row)] == [
        ("p", 0, datetime(2023, 10, 11, 18, 36, 21, 350000, UTC), '{"a":1}'),
        ("p", 1, None, '{"a":3}'),
    ]
