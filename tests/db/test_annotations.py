"""Annotations stand with their tasks: written, rewritten, and removed in the same transaction."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, insert, select, text, update

from scalesync.db.database import Database
from scalesync.db.migrate import upgrade
from scalesync.db.mirror import annotations, query
from scalesync.db.mirror import result_files as result_files_db
from scalesync.db.mirror.documents import TASKS, to_row
from scalesync.db.mirror.upsert import write_rows
from scalesync.db.schema.annotations_and_changes import (
    annotation_links,
    result_files,
    task_changes,
    task_files,
    unread_responses,
)
from scalesync.db.schema.annotations_and_changes import annotations as rows
from scalesync.db.schema.sync import runs
from scalesync.models.changes import SeenBy
from scalesync.models.selection import Selection
from scalesync.models.sync import WriteCounts
from scalesync.timestamps import format_instant
from tests.db.test_upserts import at, task, wait_until_blocked, write
from tests.support.databases import downgrade, opened

FRAMES = b'[{"annotations": [{"uuid": "u", "label": "car", "left": 1}]}, {"annotations": []}]'


def boxes(*labels: str) -> dict[str, object]:
    """Return a response with a box for each label."""
    drawn = [{"label": label, "left": 1, "top": 2, "width": 3, "height": 4.5} for label in labels]
    return {"annotations": drawn, "links": [{"from": "a", "to": "b"}]}


def annotated(database: Database, *, batch: str = "b", task_id: str = "a", **fields: object) -> None:
    """Write a completed task with these boxes."""
    write(database, TASKS, [task(task_id, type="imageannotation", batch=batch, **fields)], at(0))


def labels(database: Database) -> list[tuple[str, int, str | None]]:
    """Return every annotation's task, ordinal and label."""
    with database.read() as conn:
        columns = rows.c
        found = conn.execute(
            select(columns.task_id, columns.ordinal, columns.label).order_by(*rows.primary_key)
        )
        return [tuple(each) for each in found]


def test_annotations_come_and_go_with_their_response(database: Database) -> None:
    """New ones, others in their place, and none when the response is gone; links too."""
    annotated(database, response=boxes("car", "bus"))
    assert labels(database) == [("a", 0, "car"), ("a", 1, "bus")]
    annotated(database, response=boxes("van"))
    assert labels(database) == [("a", 0, "van")]
    annotated(database)
    assert labels(database) == []
    with database.read() as conn:
        assert conn.execute(select(annotation_links)).all() == []


def test_numbers_are_doubles_and_the_rest_is_null(database: Database) -> None:
    """A box as its columns hold it."""
    annotated(database, response=boxes("car"))
    with database.read() as conn:
        found = conn.execute(select(rows)).mappings().one()
        box = [found[name] for name in ("left", "top", "width", "height", "rotation", "geometry", "extra")]
    assert box == [1.0, 2.0, 3.0, 4.5, None, "box", None]


def test_annotations_are_rewritten_only_with_their_response(database: Database) -> None:
    """A change elsewhere in the task leaves the rows alone."""
    annotated(database, response=boxes("car"))
    with database.write() as conn:
        conn.execute(update(rows).values(label="touched"))
    annotated(database, response=boxes("car"), batch="another")
    assert labels(database) == [("a", 0, "touched")]


def test_links_with_new_signatures_are_taken_over(database: Database) -> None:
    """An address in `annotations` is the one that was read last, for the older one has expired."""
    for signature in ("one", "two"):
        url = f"https://areas.example/1.png?X-Amz-Signature={signature}"
        response = {"annotations": {"labeled": {"road": url}}}
        write(database, TASKS, [task("a", type="segmentannotation", response=response)], at(0))
    with database.read() as conn:
        assert json.loads(conn.execute(select(rows.c.extra)).scalar_one())["url"] == url


def test_an_older_copy_leaves_the_annotations_alone(postgres_url: str) -> None:
    """Even one that did not see the newer copy when it came, because that was not committed yet."""
    with opened(postgres_url) as database, ThreadPoolExecutor() as threads:
        with database.write() as first:
            newer = task(
                "a", type="imageannotation", response=boxes("new"), updated_at="2023-01-02T00:00:00.000Z"
            )
            write_rows(first, TASKS, [newer], SeenBy(at(0)))
            older = task(
                "a", type="imageannotation", response=boxes("old"), updated_at="2023-01-01T00:00:00.000Z"
            )
            second = threads.submit(write, database, TASKS, [older], at(1))
            wait_until_blocked(database)
        assert second.result() == WriteCounts(stale=1)
        assert labels(database) == [("a", 0, "new")]


def test_a_response_of_no_known_form_is_counted(database: Database) -> None:
    """The task is kept whole; that no rows came of it is said."""
    strange = task("a", type="holography", response={"waves": []})
    assert write(database, TASKS, [strange, task("b", type="holography")], at(0)) == WriteCounts(
        new=2, unread=1
    )


def unread(database: Database) -> list[str]:
    """Return the tasks whose response was not understood completely."""
    with database.read() as conn:
        return list(conn.scalars(select(unread_responses.c.task_id).order_by(unread_responses.c.task_id)))


def test_which_responses_were_not_understood_is_kept(database: Database) -> None:
    """Also those of which a part was, until the task has a response that is; status counts them."""
    annotated(database, task_id="part", response={"annotations": {"left": {"url": 1}}})
    write(database, TASKS, [task("none", type="holography", response={"waves": []})], at(0))
    annotated(database, task_id="all", response=boxes("car"))
    assert unread(database) == ["none", "part"]
    with database.read() as conn:
        assert query.responses_unread(conn) == 2
        assert query.responses_unread(conn, Selection(batch="b")) == 1

    write(database, TASKS, [task("part", type="imageannotation", response=boxes("car"))], at(1))

    assert unread(database) == ["none"]


@pytest.mark.parametrize("counted", [0, 2])
def test_an_upgrade_notes_which_responses_were_not_understood(database: Database, counted: int) -> None:
    """If a run ever met one: no run that met none has to be looked through."""
    annotated(database, task_id="part", response={"annotations": {"left": {"url": 1}}})
    annotated(database, task_id="all", response=boxes("car"))
    write(database, TASKS, [task("none", type="holography", response={"waves": []})], at(0))
    with database.write() as conn:
        ended = {"started_at": at(0), "finished_at": at(1), "state": "complete"}
        conn.execute(insert(runs).values(kind="full", responses_unread=counted, **ended))
        downgrade(conn, "0015")
    upgrade(database)
    assert unread(database) == (["none", "part"] if counted else [])


def test_an_upgrade_flattens_what_is_here(database: Database) -> None:
    """A mirror from before there were annotations has them after the upgrade, and no invented changes."""
    annotated(database, response=boxes("car"))
    annotated(database, task_id="z", response=boxes("bus"))
    annotated(database, task_id="none")
    with database.write() as conn:
        downgrade(conn, "0002")
    upgrade(database)
    assert labels(database) == [("a", 0, "car"), ("z", 0, "bus")]
    annotated(database, response=boxes("car"), batch="new")
    with database.read() as conn:
        assert [row.field for row in conn.execute(select(task_changes))] == ["batch"]


LINKED = b'[{"camera_responses": [{"camera_used": 1, "annotations": [{"label": "car", "type": "box"}]}]}]'


def test_an_upgrade_reads_again_what_is_here(database: Database) -> None:
    """Forms that an older scalesync did not know have rows; a file wrongly taken for read has an error.

    That one is to be fetched again. Going back, it is a file that never came.
    """
    contents = {"linked": LINKED, "cut": LINKED[:-4], "never": None}
    for name, content in contents.items():
        url = f"https://files.example/{name}"
        write(
            database, TASKS, [task(name, type="lidarlinking", response={"annotations": {"url": url}})], at(0)
        )
        if content:
            with database.write() as conn:
                result_files_of = update(result_files).where(result_files.c.url == url)
                conn.execute(result_files_of.values(content=content, fetched_at=at(1), tried_at=at(2)))
    annotated(
        database, task_id="drawn", response={"annotations": [{"key": "k", "type": "box", "label": "bus"}]}
    )
    with database.write() as conn:
        downgrade(conn, "0007")
        conn.execute(
            text("UPDATE result_files SET fetched_at = :at WHERE content IS NOT NULL"),
            {"at": format_instant(at(1))},
        )
        conn.execute(update(rows).values(uuid=None, label="old"))

    upgrade(database)

    assert labels(database) == [("drawn", 0, "bus"), ("linked", 0, "car")]
    with database.read() as conn:
        c = result_files.c
        found = conn.execute(select(c.url, c.fetched_at, c.read_at, c.error).order_by(c.url)).all()
        assert [(row.fetched_at, row.read_at, row.error) for row in found] == [
            (at(1), None, "The file is not whole, or not JSON."),
            (at(1), at(2), None),
            (None, None, None),
        ]
        assert result_files_db.pending(conn, "", None, 9) == [row.url for row in found if row.read_at is None]
    with database.write() as conn:
        downgrade(conn, "0007")
        came = conn.execute(text("SELECT count(*) FROM result_files WHERE fetched_at IS NOT NULL"))
        assert came.scalar_one() == 1


def test_a_conversation_beside_the_response_has_rows(database: Database) -> None:
    """Tasks of the newer API have no type and no response, but threads: their annotations are rows."""
    said = {"key": "best", "value": "b"}
    threads = [{"id": "t", "annotations": [said], "turns": [{"id": "n", "annotations": [said]}]}]
    write(database, TASKS, [task("a", threads=threads), task("b", threads=[])], at(0))
    assert labels(database) == [("a", 0, "best"), ("a", 1, "best")]
    with database.write() as conn:
        assert annotations.make_anew(conn) == 2
        assert annotations.count_mismatches(conn, ["a", "b"]) == []
    assert labels(database) == [("a", 0, "best"), ("a", 1, "best")]
    write(database, TASKS, [task("a", threads=[{"annotations": [said]}])], at(1))
    assert labels(database) == [("a", 0, "best")]


VIDEO = {"type": "videoannotation"}


def video(database: Database, task_id: str, name: str, *, signature: str = "1") -> None:
    """Write a task whose annotations are in a file."""
    url = f"https://files.example/{name}?X-Amz-Signature={signature}"
    write(database, TASKS, [task(task_id, **VIDEO, response={"annotations": {"url": url}})], at(0))


def files(database: Database) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the addresses of the files, and which task names which."""
    with database.read() as conn:
        urls = conn.scalars(select(result_files.c.url).order_by(result_files.c.url)).all()
        named = conn.execute(select(task_files).order_by(*task_files.primary_key)).all()
    return [url.rpartition("/")[2] for url in urls], [
        (row.task_id, row.url.rpartition("/")[2]) for row in named
    ]


def test_files_behind_responses_are_noted_without_their_signatures(database: Database) -> None:
    """Once each, with the tasks that name them; when the last one does no more, the file goes."""
    video(database, "a", "1.json")
    video(database, "b", "1.json", signature="2")
    assert files(database) == (["1.json"], [("a", "1.json"), ("b", "1.json")])
    video(database, "a", "2.json")
    assert files(database) == (["1.json", "2.json"], [("a", "2.json"), ("b", "1.json")])
    video(database, "b", "2.json")
    assert files(database) == (["2.json"], [("a", "2.json"), ("b", "2.json")])


def test_a_file_that_is_here_is_used_again(database: Database) -> None:
    """A task rewritten with another signature, or another task of the same file, has its annotations."""
    video(database, "a", "1.json")
    assert labels(database) == []
    with database.write() as conn:
        conn.execute(update(result_files).values(content=FRAMES))
        assert annotations.write_again(conn, ["a"]).annotations == 1
    assert labels(database) == [("a", 0, "car")]
    video(database, "a", "1.json", signature="2")
    video(database, "b", "1.json")
    assert labels(database) == [("a", 0, "car"), ("b", 0, "car")]


def test_catching_up_goes_through_any_number_of_tasks(database: Database) -> None:
    """Every task whose response was never flattened, in portions."""
    given = [task(f"{n:04}", type="imageannotation", response=boxes("car")) for n in range(450)]
    write(database, TASKS, given, at(0))
    with database.write() as conn:
        conn.execute(delete(rows))
        conn.execute(text("UPDATE tasks SET response_digest = NULL WHERE task_id >= '0005'"))
        assert annotations.backfill(conn) == 445
    assert len(labels(database)) == 445


@pytest.mark.parametrize("response", ['"text"', "[]", "3", '{"annotations":"x"}', '{"annotations":[null,3]}'])
def test_a_strange_response_never_stops_a_page(response: str, database: Database) -> None:
    """The task is written whatever its response is."""
    document = b'{"task_id":"a","type":"imageannotation","response":%s}' % response.encode()
    assert write(database, TASKS, [to_row(TASKS, document)], at(0)).new == 1
