"""A synced account as rows: every annotation that its documents hold, and none besides."""

import json
from collections import Counter
from typing import Any

from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.mirror import changes
from scalesync.db.schema.annotations_and_changes import annotation_links, annotations
from scalesync.db.sync import runs
from scalesync.sandbox.result_files import content
from tests.support.annotation_oracle import SILENT, Expected, expected
from tests.support.file_server import fetch
from tests.support.sandboxes import StartSandbox
from tests.support.sync_env import served, sync


def mirrored(database: Database) -> Counter[Expected]:
    """Return how often each annotation is here, in the form of `expected`."""
    columns = annotations.c
    shown = [columns[name] for name in ("task_id", "uuid", "label", "geometry", "frame")]
    shown += [columns[name] for name in ("left", "top", "width", "height", "vertices", "text")]
    with database.read() as conn:
        return Counter(
            (*row[:9], len(json.loads(row.vertices or "[]")), row.text)
            for row in conn.execute(select(*shown))
        )


def test_a_synced_account_has_the_annotations_of_its_documents(
    start_sandbox: StartSandbox, database: Database
) -> None:
    """Of every type there is, values included, after a full sync and after an incremental one.

    Links between annotations are counted too. What is of no known form is said to be so. Every change names
    the run that saw it.
    """
    server = start_sandbox(tasks=800)
    for _ in range(2):
        summary = sync(server, database)
        documents = [dict(document) for document in served(server, "tasks").values()]
        assert mirrored(database) == expected(documents, {})
        with database.read() as conn:
            assert {change.run_id for change in changes.listing(conn)} == {
                run.id for run in runs.recent(conn, 9)
            }
        server.backend.churn(40)
    chats = sum(task["type"] in SILENT and "response" in task for task in documents)
    assert {task["type"] for task in documents if "response" in task} >= SILENT
    assert summary.unread <= chats
    with database.read() as conn:
        kinds = Counter(row.kind for row in conn.execute(select(annotation_links.c.kind)))
    assert kinds == links_of(documents)


def test_files_behind_responses_come_to_the_annotations_in_them(
    start_sandbox: StartSandbox, database: Database
) -> None:
    """Frames, tracks, cuboids and events, beside whatever the other responses hold."""
    server = start_sandbox(tasks=400)
    sync(server, database)
    assert fetch(database, api_url=server.url).complete

    documents = [dict(document) for document in served(server, "tasks").values()]
    assert mirrored(database) == expected(documents, {url: read(url) for url in named_in(documents)})


def named_in(documents: list[dict[str, Any]]) -> set[str]:
    """Return the addresses of all result files that responses name."""
    names = ("annotations", "events", "point_segmentations")
    places = (task.get("response", {}).get(name) for task in documents for name in names)
    return {place["url"] for place in places if isinstance(place, dict) and "url" in place}


def read(url: str) -> object:
    """Return what a result file of the sandbox holds."""
    kind, name = url.split("/")[-2:]
    return json.loads((content(kind, name) or b"null").rstrip(b"\0"))


def links_of(documents: list[dict[str, object]]) -> Counter[str]:
    """Return how many links of each kind the documents hold."""
    found: Counter[str] = Counter()
    for task in documents:
        response = task.get("response")
        if not isinstance(response, dict):
            continue
        found["link"] += len(response.get("links", ()))
        found["relationship"] += len(response.get("relationships", ()))
        if task["type"] == "documenttranscription":
            found["ref"] += sum(len(each["refs"]) for each in response["annotations"])
    return found
