"""Random histories of a mirror, written by the functions that a sync, a dispatch and a repair use.

For tests of publishing: `History(database, seed).step()` does one thing, and `expected` has what readers of a
published table must find.
"""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from scalesync.db.database import Database
from scalesync.db.mirror import result_files
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS, StreamMapping, to_row
from scalesync.db.mirror.page_inserts import insert_pages
from scalesync.db.mirror.result_files import FetchedFile
from scalesync.db.mirror.upsert import apply_response, mark_missing, write_last, write_rows
from scalesync.db.schema.annotations_and_changes import result_files as files
from scalesync.db.schema.mirror import tasks
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.sync.comparison import force_rewrite
from scalesync.models.api import Document
from scalesync.models.changes import SeenBy
from scalesync.models.publishing import PARTITIONED, Partition
from scalesync.parsing.row_parser import Row
from scalesync.parsing.task_inserts import make_page_inserter
from scalesync.timestamps import format_instant

NAMES = (
    "p", "P", 'a/b "é" = 100%', "x%2Fy", "..", ".", "NULL", "null", "", "__HIVE_DEFAULT_PARTITION__",
    "語" * 90, "a\nb\tc", "#?&+ @;", "project=p", "7", "'", "\\",
)  # fmt: skip
"""Names of projects, each of which some reader or file system takes for something else."""
TIMES = (
    None, "2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z", "2026-02-28T12:00:00.000Z",
    "1999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", "2026-02-01T00:30:00+01:00",
)  # fmt: skip
"""Times of creation around the ends of months."""
_URL = "https://frames.example/{}.json"

KINDS = {
    "create": 4, "answer": 2, "edit": 6, "same": 1, "respell": 2, "older": 1, "move": 1, "delete": 2,
    "revive": 1, "repair": 2, "fetch": 2, "batches": 1, "projects": 1,
}  # fmt: skip
"""What may happen, and how often."""


class History:
    """A mirror that changes at random, and the same for the same seed."""

    def __init__(
        self, database: Database, seed: int, *, names: tuple[str, ...] = NAMES, prefix: str = "t"
    ) -> None:
        """Prepare; nothing is written yet. The ids of tasks begin with `prefix`."""
        self.database, self.names, self.random = database, names, random.Random(seed)
        self.prefix = prefix
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.bodies: dict[str, dict[str, Any]] = {}

    def step(self, kind: str | None = None) -> str:
        """Do one thing, of a kind or of any, in a transaction of its own; return its kind."""
        drawn = self.random.choices(list(KINDS), list(KINDS.values()))[0] if self.bodies else "create"
        kind = drawn if kind is None else kind
        self.now += timedelta(seconds=self.random.choice((1, 60, 3600)))
        getattr(self, f"_{kind}")()
        return kind

    def _task(self, task_id: str) -> dict[str, Any]:
        draw = self.random
        body: dict[str, Any] = {
            "task_id": task_id,
            "status": draw.choice(("pending", "completed")),
            "n": draw.random(),
        }
        body["type"] = draw.choice(("imageannotation", "videoannotation", "imageannotation"))
        if (project := draw.choice((None, *self.names))) is not None:
            body["project"] = project
        if (created := draw.choice(TIMES)) is not None:
            body["created_at"] = created
        body["batch"] = draw.choice(("b", "c"))
        body["params"] = {"attachment": "https://pictures.example/1.jpg", "n": draw.randrange(3)}
        self._answer_of(body)
        return body

    def _answer_of(self, body: dict[str, Any]) -> None:
        """Give a task a response, or none: of videos in a file that others may name too."""
        draw = self.random
        if body["type"] == "videoannotation":
            body["response"] = {
                "annotations": {"url": _URL.format(draw.randrange(3)) + f"?Signature={draw.random()}"}
            }
        else:
            boxes = [
                {
                    "uuid": f"u{n}",
                    "label": draw.choice(("car", None, "é")),
                    "left": draw.random(),
                    "top": 1,
                    "width": 2,
                    "height": 3,
                }
                for n in range(draw.randrange(4))
            ]
            body["response"] = {
                "annotations": boxes,
                "links": [{"from": "u0", "to": "u1"}][: len(boxes) // 2],
            }
        if draw.random() < 0.2:
            body["audits"] = [
                {"result": draw.choice(("accepted", "rejected")), "at": format_instant(self.now)}
            ]
        if draw.random() < 0.2:
            del body["response"]

    def _some(self) -> list[str]:
        known = sorted(self.bodies)
        return self.random.sample(known, min(len(known), self.random.randint(1, 4)))

    def _rows(self, task_ids: list[str]) -> list[Row]:
        return [to_row(TASKS, json.dumps(self.bodies[task_id]).encode()) for task_id in task_ids]

    def _write(self, task_ids: list[str], *, last: bool = False, at: datetime | None = None) -> None:
        with self.database.write() as conn:
            (write_last if last else write_rows)(conn, TASKS, self._rows(task_ids), SeenBy(at or self.now))

    def _create(self) -> None:
        """Write a page of new tasks, as a first sync does."""
        new = [f"{self.prefix}{len(self.bodies) + number:04}" for number in range(self.random.randint(1, 5))]
        self.bodies |= {task_id: self._task(task_id) for task_id in new}
        page = make_page_inserter(TASKS.spec)(self._rows(new), format_instant(self.now))
        with self.database.write() as conn:
            if insert_pages(conn, [page], SeenBy(self.now, 1)) is None:
                write_last(conn, TASKS, self._rows(new), SeenBy(self.now, 1))

    def _answer(self) -> None:
        """Write the answer to a command, as a dispatcher does."""
        task_id = f"{self.prefix}{len(self.bodies):04}" if self.random.random() < 0.5 else self._some()[0]
        self.bodies[task_id] = self._task(task_id)
        document = Document(json.dumps(self.bodies[task_id]).encode(), self.now)  # type: ignore[arg-type]
        with self.database.write() as conn:
            apply_response(conn, "tasks", document)

    def _edit(self) -> None:
        """Change some tasks: their response, their batch, or only a field without a column."""
        chosen = self._some()
        for task_id in chosen:
            body = self.bodies[task_id]
            match self.random.randrange(3):
                case 0:
                    self._answer_of(body)
                case 1:
                    body["batch"] = self.random.choice(("b", "c", "d"))
                case _:
                    body["n"] = self.random.random()
        self._write(chosen, last=self.random.random() < 0.5)

    def _same(self) -> None:
        """Read some tasks again that did not change."""
        self._write(self._some())

    def _respell(self) -> None:
        """Read some tasks again with names within an object in another order."""
        for task_id in (chosen := self._some()):
            body = self.bodies[task_id]
            body["params"] = dict(reversed(body["params"].items()))
        self._write(chosen)

    def _older(self) -> None:
        """Bring a copy that was served an hour ago, in one of the ways in which a reader may."""
        chosen, kept = self._some(), dict(self.bodies)
        for task_id in chosen:
            self.bodies[task_id] = {**kept[task_id], "n": self.random.random()}
        self._write(chosen, last=self.random.random() < 0.5, at=self.now - timedelta(hours=1))

    def _move(self) -> None:
        """Give tasks another project, or another time of creation."""
        for task_id in (chosen := self._some()):
            fresh = self._task(task_id)
            for name in ("project", "created_at"):
                self.bodies[task_id].pop(name, None)
            self.bodies[task_id] |= {name: fresh[name] for name in ("project", "created_at") if name in fresh}
            self.bodies[task_id]["n"] = fresh["n"]
        self._write(chosen)

    def _delete(self) -> None:
        """Find that some tasks are gone."""
        with self.database.write() as conn:
            mark_missing(conn, TASKS, self._some(), self.now)

    def _revive(self) -> None:
        """Find some that were gone again."""
        with self.database.read() as conn:
            gone = list(conn.scalars(sa.select(tasks.c.task_id).where(tasks.c.missing_since.is_not(None))))
        self._write(sorted(gone)[:2])

    def _repair(self) -> None:
        """Mark what differs from the API; sometimes the repair is killed before it reads it again."""
        chosen = self._some()
        with self.database.write() as conn:
            force_rewrite(conn, TASKS, chosen)
        if self.random.random() < 0.5:
            self._write(chosen)

    def _fetch(self) -> None:
        """Store one of the files that responses name."""
        boxes = [{"uuid": "f", "label": self.random.choice("xyz"), "left": self.random.random()}]
        content = json.dumps([{"annotations": boxes}]).encode()
        with self.database.write() as conn:
            for url in list(conn.scalars(sa.select(files.c.url).order_by(files.c.url)))[:1]:
                stored = FetchedFile(content, "0" * 64, len(content), self.now)
                result_files.keep(conn, url, stored, self.now)

    def _batches(self) -> None:
        name, status = self.random.choice("bc"), self.random.choice(("staging", "completed"))
        self._write_other(BATCHES, {"name": name, "status": status})

    def _projects(self) -> None:
        given = {"name": self.random.choice(self.names) or "p", "type": self.random.choice(("a", "b"))}
        self._write_other(PROJECTS, given)

    def _write_other(self, kind: StreamMapping, given: dict[str, str]) -> None:
        with self.database.write() as conn:
            if self.random.random() < 0.2:
                mark_missing(conn, kind, [given["name"]], self.now)
            else:
                write_rows(conn, kind, [to_row(kind, json.dumps(given).encode())], SeenBy(self.now))


def expected(database: Database, name: str) -> list[dict[str, Any]]:
    """Return the rows that a published table has to have, in the order of its key.

    Rows about tasks have `project_name` and `month` beside the table's columns; `project` only of tasks.
    """
    table = metadata.tables[name]
    with database.read() as conn:
        found = [dict(row) for row in conn.execute(sa.select(table)).mappings()]
        every = {row["task_id"]: row for row in conn.execute(sa.select(tasks)).mappings()}
    if name not in PARTITIONED:
        return sorted(
            (row for row in found if row["missing_since"] is None), key=lambda row: str(row["name"])
        )
    wanted = []
    for row in found:
        task = every[row["task_id"]]
        if task["missing_since"] is None or name == "task_changes":
            created = task["created_at"]
            row |= {"project_name": task["project"], "month": None if created is None else f"{created:%Y-%m}"}
            wanted.append(row)
    return sorted(wanted, key=lambda row: [row[column.name] for column in table.primary_key])


def by_partition(database: Database) -> Mapping[Partition, list[str]]:
    """Return the rows of all tables about tasks, by partition, as texts."""
    found: dict[Partition, list[str]] = defaultdict(list)
    for name in PARTITIONED:
        for row in expected(database, name):
            found[Partition(row["project_name"] or "", row["month"] or "")].append(f"{name} {row}")
    return found
