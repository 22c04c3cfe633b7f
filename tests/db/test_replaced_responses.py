"""Every response that a task had is kept once, and compared with the next."""

import json
from typing import Any

import pytest
from sqlalchemy import select, text, update

from scalesync.annotations.difference import ResponseDiff
from scalesync.db.database import Database
from scalesync.db.mirror import query, replaced_responses
from scalesync.db.mirror.documents import TASKS
from scalesync.db.mirror.upsert import mark_missing, write_rows
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.reviews_and_versions import annotation_differences
from scalesync.db.schema.views import VIEWS
from scalesync.errors import ConfigurationError, IncompleteError
from scalesync.models.changes import SeenBy
from tests.db.test_annotations import boxes
from tests.db.test_changes import SIGNED
from tests.db.test_upserts import at, task, write

A, B, C = boxes("car"), boxes("van"), boxes("car", "bus")


def had(database: Database, *responses: object, **fields: Any) -> None:
    """Have one task read with one response after another, a minute apart; None: with none."""
    fields = {"type": "imageannotation", "status": "completed"} | fields
    for minutes, response in enumerate(responses):
        write(database, TASKS, [task("a", **fields, response=response)], at(minutes))


def kept(database: Database) -> list[tuple[list[str], int, int | None]]:
    """Return the labels of each response, and the minutes at which it was first seen and replaced."""
    view = VIEWS["task_responses"].c
    with database.read() as conn:
        found = conn.execute(select(view.response, view.first_seen_at, view.replaced_at)).all()
    return sorted(
        (
            [box["label"] for box in json.loads(response)["annotations"]],
            round((first - at(0)).total_seconds() / 60),
            replaced and round((replaced - at(0)).total_seconds() / 60),
        )
        for response, first, replaced in found
    )


def changes(database: Database) -> list[tuple[str, str | None, str | None]]:
    """Return the changes of annotations, in the order of responses."""
    c = annotation_differences.c
    with database.read() as conn:
        ordered = select(c.kind, c.label_before, c.label_after).order_by(c.seen_at, c.ordinal)
        return [tuple(row) for row in conn.execute(ordered)]


def diff(database: Database, before: str | None = None, after: str | None = None) -> ResponseDiff:
    """Compare two responses of the task."""
    with database.read() as conn:
        return replaced_responses.diff(conn, "a", before, after)


def test_every_response_is_kept_once(database: Database) -> None:
    """Also one that was there in between, and one that was there at first and came back."""
    had(database, A, B, A)
    assert kept(database) == [(["car"], 0, None), (["van"], 1, 2)]
    had(database, A, B, A, C)
    assert kept(database) == [(["car"], 0, 3), (["car", "bus"], 3, None), (["van"], 1, 2)]


def test_the_response_of_now_takes_no_room_twice(database: Database) -> None:
    """What was never replaced is in `tasks` alone."""
    had(database, A)
    with database.read() as conn:
        assert query.replaced_responses_size(conn) == (0, 0)
    assert kept(database) == [(["car"], 0, None)]
    had(database, A, B)
    with database.read() as conn:
        number, size = query.replaced_responses_size(conn)
    assert (number, size > 40) == (1, True)


def test_a_re_read_replaces_nothing(database: Database) -> None:
    """Neither the same text, nor another spelling, nor other signatures of links."""
    spelled = json.loads(json.dumps(A).replace("4.5", "4.50"))
    signed = [A | {"url": f"{SIGNED}{number}"} for number in range(2)]
    had(database, A, A, dict(reversed(spelled.items())))
    assert len(kept(database)) == 1
    write(database, TASKS, [task("b", response=signed[0])], at(0))
    write(database, TASKS, [task("b", response=signed[1])], at(1))
    assert len(kept(database)) == 2


def test_responses_are_compared_with_the_one_before(database: Database) -> None:
    """The first with none; after a recall with the last one before that."""
    had(database, None, A, B, None, C)
    assert changes(database) == [
        ("relabelled", "car", "van"),
        ("relabelled", "van", "car"),
        ("added", None, "bus"),
    ]
    assert len(kept(database)) == 3


def test_the_same_response_after_a_recall_is_no_change(database: Database) -> None:
    """It is there twice in time, and once here."""
    had(database, A, None, A)
    assert changes(database) == []
    assert kept(database) == [(["car"], 0, None)]
    assert diff(database).before is None


def test_what_lies_in_files_is_said_to_be_not_compared(database: Database) -> None:
    """The files of the earlier response may be gone."""
    first, second = ({"annotations": {"url": f"https://files.example/{number}.json"}} for number in (1, 2))
    had(database, first, second, type="videoannotation")
    assert changes(database) == [("not_compared", None, None)]
    assert not diff(database).complete


def test_without_keeping_nothing_is_kept(database: Database) -> None:
    """Nor compared; and who asks for the difference hears why there is none."""
    had(database, A)
    with database.write() as conn:
        given = [task("a", type="imageannotation", status="completed", response=B)]
        write_rows(conn, TASKS, given, SeenBy(at(1), keeps_responses=False))
    assert kept(database) == [(["van"], 1, None)]
    assert changes(database) == []
    with pytest.raises(IncompleteError, match="was not kept"):
        diff(database)


def test_a_missing_task_is_in_no_view(database: Database) -> None:
    """Its rows stay in the tables."""
    had(database, A, B)
    with database.write() as conn:
        mark_missing(conn, TASKS, ["a"], at(3))
    assert kept(database) == []
    assert len(diff(database).differences) == 1


def test_two_responses_are_compared_by_their_digests(database: Database) -> None:
    """Or by the beginnings of these; in either direction; by default the last two."""
    had(database, A, B, C)
    with database.read() as conn:
        first, second, third = (each.digest for each in replaced_responses.of_task(conn, "a"))
    last = diff(database)
    assert (last.before and last.before.digest, last.after and last.after.digest) == (second, third)
    assert [each.kind for each in diff(database, first[:8], third[:8]).differences] == ["added"]
    assert [each.kind for each in diff(database, third, first).differences] == ["removed"]
    assert [each.kind for each in diff(database, after=second).differences] == ["relabelled"]
    assert diff(database, after=first).before is None
    assert diff(database, first, first).differences == []


def test_an_unknown_digest_is_refused(database: Database) -> None:
    """With those that there are; so is the beginning of several, and a task that is not here."""
    had(database, A, B)
    with pytest.raises(ConfigurationError, match="None of the task's responses"):
        diff(database, "nonsense")
    with pytest.raises(ConfigurationError, match="Several"):
        diff(database, after="")
    with database.read() as conn, pytest.raises(IncompleteError, match="not in the mirror"):
        replaced_responses.diff(conn, "nobody", None, None)


def test_a_task_without_a_response_has_nothing_to_compare(database: Database) -> None:
    """That is no error."""
    had(database, None)
    assert diff(database) == ("a", None, None, [])


def test_a_response_from_before_there_were_digests_is_kept_if_it_changed(database: Database) -> None:
    """Only its content shows whether it did."""
    had(database, A)
    for response, number in ((A, 1), (B, 2)):
        with database.write() as conn:
            conn.execute(update(tasks).values(response_digest="", digest=""))
            conn.execute(text("DELETE FROM task_changes"))
        write(
            database, TASKS, [task("a", type="imageannotation", status="completed", response=response)], at(5)
        )
        assert len(kept(database)) == number
    assert changes(database) == [("relabelled", "car", "van")]
