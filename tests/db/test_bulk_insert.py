"""Many rows at once arrive as they would one by one, whichever way the database takes them."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DataError, IntegrityError

from scalesync.db import bulk_insert
from scalesync.db.database import Database
from scalesync.db.schema.annotations_and_changes import annotations, task_changes
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.db.statements import Insert

_ODD = ("\\N", "a\tb", "a\nb\r", "\\", "", "'\"", "%s", "é\U0001f600", None)
_INTO = bulk_insert.InsertTarget.of(
    annotations, ("task_id", "ordinal", "label", "left", "text_start", "extra")
)


@pytest.mark.parametrize("number", [0, 1, 49, 50, 99, 100, 101, 230])
def test_every_value_arrives_as_it_is(database: Database, number: int) -> None:
    """Whether the rows come alone, by hundreds or by COPY."""
    odd = [text for text, _ in product(_ODD, range(30))]
    rows = [(f"t{at:03}", at, odd[at], at / 8, None if at < 100 else at, '{"a": 1}') for at in range(number)]
    with database.write() as conn:
        bulk_insert.write(conn, _INTO, rows)
        found = conn.execute(select(annotations).order_by(annotations.c.task_id)).mappings().all()
    assert [tuple(row[name] for name in _INTO.names[:5]) for row in found] == [row[:5] for row in rows]
    assert {row["extra"] for row in found} <= {'{"a": 1}'}


def test_the_conflict_is_decided_for_each_row(database: Database) -> None:
    """Of many rows whose keys are taken, each becomes what the statement says."""

    def keep_larger(insert: "Insert") -> "Insert":
        given, kept = insert.excluded, annotations.c
        return insert.on_conflict_do_update(
            index_elements=[kept.task_id, kept.ordinal],
            set_={"label": given.label},
            where=given.label > kept.label,
        )

    into = bulk_insert.InsertTarget.of(annotations, ("task_id", "ordinal", "label"), keep_larger)
    with database.write() as conn:
        bulk_insert.write(conn, into, [(f"t{at:03}", 0, "m") for at in range(150)])
        bulk_insert.write(conn, into, [(f"t{at:03}", 0, "az"[at % 2]) for at in range(150)])
        labels = conn.scalars(select(annotations.c.label).order_by(annotations.c.task_id)).all()
    assert labels == ["m", "z"] * 75


def test_values_by_name_become_rows_in_the_order_of_the_columns(database: Database) -> None:
    """Whatever the order of the names; an instant is the text that both databases take."""
    into = bulk_insert.InsertTarget.of(task_changes, ("field", "seen_at", "task_id"))
    at = datetime(2025, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    named = {"field": "f", "task_id": "t", "seen_at": format_instant(at)}
    with database.write() as conn:
        bulk_insert.write(conn, into, into.rows([named] * 60))
        found = conn.execute(select(task_changes)).all()
    assert {(row.task_id, row.seen_at, row.field) for row in found} == {("t", at, "f")}


def test_a_refusal_is_what_sqlalchemy_makes_of_it(database: Database) -> None:
    """So that whoever looks for it finds it, and the driver's words stay what they are."""
    again = [(f"t{at:03}", 0, None, None, None, None) for at in range(60)] * 2
    broken = [(*row[:5], "{") for row in again[:60]]
    with database.write() as conn:
        with pytest.raises(IntegrityError, match=r"unique|UNIQUE"), conn.begin_nested():
            bulk_insert.write(conn, _INTO, again)
        if not database.is_sqlite:
            with pytest.raises(DataError, match="json"), conn.begin_nested():
                bulk_insert.write(conn, _INTO, broken)
        assert conn.scalar(select(func.count()).select_from(annotations)) == 0


def test_columns_of_another_table_are_another_place() -> None:
    """What was put together for one is never used for the other."""
    other = replace(_INTO, names=_INTO.names[:2])
    assert other != _INTO
    assert hash(other) != hash(_INTO)
