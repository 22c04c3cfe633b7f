"""Audits and attempts are rows beside their task: written, replaced and made after an upgrade."""

from typing import Any

import pytest
from sqlalchemy import Table, delete, select

from scalesync.db.database import Database
from scalesync.db.migrate import upgrade
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.page_inserts import insert_pages
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.reviews_and_versions import task_attempts, task_audits
from scalesync.models.changes import SeenBy
from scalesync.parsing.row_parser import Row
from scalesync.parsing.task_inserts import make_page_inserter
from scalesync.timestamps import format_instant
from tests.db.test_upserts import at, task, write
from tests.support.databases import downgrade
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import served, sync

_LATER = {"audited_by": "ada@x.example", "audited_at": "2024-01-02T10:00:00.000Z", "audit_time_secs": 12}
_FIRST = {"audit_result": "rejected", "audit_source": "customer", "comments": "too wide"}
AUDITED = task("a", audits=[_LATER | {"audit_result": "accepted", "audit_source": "scale"}, _FIRST])


def rows(database: Database, table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table in the order of its key, without empty columns."""
    with database.read() as conn:
        found = conn.execute(select(table).order_by(*table.primary_key)).mappings()
        return [{name: value for name, value in row.items() if value is not None} for row in found]


def insert(database: Database, *given: Row) -> bool:
    """Insert tasks without a look first; return whether that was possible."""
    page = make_page_inserter(TASKS.spec)(given, format_instant(at(0)))
    with database.write() as conn:
        return insert_pages(conn, [page], SeenBy(at(0))) is not None


@pytest.mark.parametrize("inserted", [True, False], ids=["inserted", "compared"])
def test_each_audit_is_a_row(database: Database, *, inserted: bool) -> None:
    """Newest first, as the API lists them; the same whether the task is expected to be new or not."""
    if inserted:
        assert insert(database, AUDITED)
    else:
        write(database, TASKS, [AUDITED], at(0))
    later = {"source": "scale", "result": "accepted", "audited_by": "ada@x.example", "seconds": 12.0}
    first = {"source": "customer", "result": "rejected", "comments": "too wide"}
    assert rows(database, task_audits) == [
        {"task_id": "a", "ordinal": 0, "at": at(22 * 60), **later},
        {"task_id": "a", "ordinal": 1, **first},
    ]


def test_audits_are_replaced_with_their_task(database: Database) -> None:
    """Also if its response is the same; and they go when it has none any more."""
    for minutes, given in enumerate(([_FIRST], [_LATER, _FIRST], [], [_LATER], None)):
        write(database, TASKS, [task("a", response={"x": 1}, audits=given)], at(minutes))
        assert len(rows(database, task_audits)) == len(given or ())


def test_what_fits_no_column_is_in_extra(database: Database) -> None:
    """Fields that nobody knows, values of other kinds, and what is no audit at all."""
    odd = [
        {"audit_result": 5, "audited_at": "yesterday", "audit_time_secs": "long", "mood": "good"},
        "a word",
        None,
        {"audited_at": "2024-01-02T11:00:00+01:00", "audit_time_secs": 10**400},
    ]
    write(database, TASKS, [task("a", audits=odd), task("b", audits="none"), task("c", audits={})], at(0))
    found = rows(database, task_audits)
    assert [(row["task_id"], row["ordinal"]) for row in found] == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
        ("b", 0),
        ("c", 0),
    ]
    assert [set(row) - {"task_id", "ordinal"} for row in found] == [
        {"extra"},
        {"extra"},
        {"at", "extra"},
        {"extra"},
        set(),
    ]
    assert found[2]["at"] == at(22 * 60)
    assert '"mood"' in found[0]["extra"]


def test_each_attempt_is_a_row(database: Database) -> None:
    """With its response, and what else it holds."""
    given = [{"response": {"annotations": {}}, "by": 1}, {"response": None}]
    write(database, TASKS, [task("a", attempts=given)], at(0))
    found = rows(database, task_attempts)
    assert [sorted(row) for row in found] == [
        ["extra", "ordinal", "response", "task_id"],
        ["ordinal", "task_id"],
    ]
    assert found[0]["response"].replace(" ", "") == '{"annotations":{}}'


@pytest.mark.parametrize("deleted", [tasks, task_audits], ids=["the task", "its audits"])
def test_nothing_of_a_deleted_row_stays_beside_a_new_one(database: Database, deleted: Table) -> None:
    """Somebody deleted only the task, or only its audits."""
    write(database, TASKS, [AUDITED], at(0))
    with database.write() as conn:
        conn.execute(delete(deleted))
    assert not insert(database, task("a", audits=[]))
    write(database, TASKS, [task("a", audits=[_FIRST])], at(1))
    assert len(rows(database, task_audits)) == 1


def test_an_upgrade_makes_the_rows_of_all_tasks(database: Database) -> None:
    """From what each task's `extra` holds."""
    write(database, TASKS, [AUDITED, task("b", attempts=[{}]), task("c", note='"audits"')], at(0))
    before = rows(database, task_audits), rows(database, task_attempts)
    with database.write() as conn:
        downgrade(conn, "0012")
    upgrade(database)
    assert (rows(database, task_audits), rows(database, task_attempts)) == before
    assert all(before)


def test_a_synced_account_has_every_audit(start_sandbox: StartSandbox, database: Database) -> None:
    """After a full sync, and after an incremental one that read a new audit."""
    server = start_sandbox(tasks=200)
    sync(server, database)
    first = len(rows(database, task_audits))
    server.backend.churn(200)
    sync(server, database)
    documents: dict[str, Any] = dict(sorted(served(server, "tasks").items()))
    expected = [
        (key, number, audit["audit_result"])
        for key, document in documents.items()
        for number, audit in enumerate(document.get("audits") or ())
    ]
    assert [
        (row["task_id"], row["ordinal"], row["result"]) for row in rows(database, task_audits)
    ] == expected
    assert len(expected) > first > 10
