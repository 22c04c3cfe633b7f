"""Each open question about the API: every reading can be chosen by name and makes a difference."""

import time
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from scalesync.sandbox import SandboxServer, Switches, choices_of
from tests.support.sandboxes import LIVE, TEST, StartSandbox

Doc = dict[str, Any]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

BODY: Doc = {"instruction": "Look.", "attachment": "https://pictures.example/1.jpg"}


class Bench:
    """A sandbox with a clock that stands until it is turned, and short words for asking it."""

    def __init__(self, start: StartSandbox, tasks: int = 0, **switches: Any) -> None:
        self.now = NOON
        faults = switches.pop("faults", ())
        self.server: SandboxServer = start(
            clock=lambda: self.now, tasks=tasks, faults=faults, switches=Switches(**switches)
        )

    def ask(
        self, method: str, path: str, body: Any = None, key: Any = LIVE, **params: Any
    ) -> requests.Response:
        """Return the answer to one request."""
        return requests.request(
            method, self.server.url + path, json=body, params=params, auth=key, timeout=10
        )

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON of a read that succeeds."""
        answer = self.ask("GET", path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        """Return the JSON of a write that succeeds."""
        answer = self.ask("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, count: int = 1, **more: Any) -> list[str]:
        """Create tasks in one and the same millisecond and return their ids, sorted."""
        return sorted(self.post("/task/imageannotation", BODY | more)["task_id"] for _ in range(count))

    def walk(self, limit: int = 2) -> list[str]:
        """Return the ids of all pages."""
        ids: list[str] = []
        page: Doc = {"has_more": True}
        while page["has_more"]:
            page = self.get("/tasks", limit=limit, next_token=page.get("next_token"))
            ids += [doc["task_id"] for doc in page["docs"]]
        return ids


def test_bounds(start_sandbox: StartSandbox) -> None:
    """A task created at noon belongs to what begins or ends at noon, or does not."""
    at = NOON.isoformat()
    counts = {}
    for reading in choices_of()["bounds"]:
        bench = Bench(start_sandbox, bounds=reading)
        bench.make()
        counts[reading] = tuple(
            bench.get("/tasks", **{name: at})["total"]
            for name in ("start_time", "end_time", "updated_after", "updated_before")
        )
    assert counts == {"inclusive": (1, 1, 1, 1), "exclusive": (0, 0, 0, 0), "half_open": (1, 0, 1, 0)}


def test_ties(start_sandbox: StartSandbox) -> None:
    """Of seven tasks of one millisecond all are given in order, or some never, or only a page of them."""
    by_id, shuffled, skipped = (Bench(start_sandbox, ties=reading) for reading in choices_of()["ties"])
    made = by_id.make(7)
    assert by_id.walk() == made[::-1]
    assert by_id.walk(limit=7) == by_id.walk(limit=7)
    made = shuffled.make(7)
    assert shuffled.walk(limit=7) != shuffled.walk(limit=7)
    walks = [shuffled.walk() for _ in range(5)]
    assert all(set(walk) <= set(made) for walk in walks)
    assert min(len(walk) for walk in walks) < 7
    [older] = skipped.make()
    skipped.now += timedelta(seconds=1)
    tied = skipped.make(7)
    assert skipped.walk() == [tied[6], tied[5], older]
    assert skipped.get("/tasks", limit=2)["total"] == 8


def test_tokens(start_sandbox: StartSandbox) -> None:
    """When a task joins between two pages, an offset token gives one task twice and a keyset token none."""
    for reading, twice in (("keyset", 0), ("offset", 1)):
        bench = Bench(start_sandbox, tokens=reading)
        made = bench.make(4)
        first = bench.get("/tasks", limit=2)
        bench.now += timedelta(seconds=1)
        bench.make()
        second = bench.get("/tasks", limit=2, next_token=first["next_token"])
        ids = [doc["task_id"] for doc in first["docs"] + second["docs"]]
        assert len(ids) - len(set(ids)) == twice
        assert set(ids) <= set(made)


def test_token_lifetime(start_sandbox: StartSandbox) -> None:
    """A token is refused with 400 once its seconds are over."""
    bench = Bench(start_sandbox, token_lifetime=60)
    bench.make(2)
    token = bench.get("/tasks", limit=1)["next_token"]
    bench.now += timedelta(seconds=59)
    assert bench.ask("GET", "/tasks", next_token=token).status_code == 200
    bench.now += timedelta(seconds=1)
    assert bench.ask("GET", "/tasks", next_token=token).status_code == 400


def test_token_bound_to_filters(start_sandbox: StartSandbox) -> None:
    """A bound token is refused under other filters; limit is no filter. A free one is taken."""
    for bound, status in ((True, 400), (False, 200)):
        bench = Bench(start_sandbox, token_bound_to_filters=bound)
        bench.make(3)
        token = bench.get("/tasks", limit=1, status="pending")["next_token"]
        asked = {"next_token": token, "status": "pending", "limit": 2}
        assert bench.ask("GET", "/tasks", **asked).status_code == 200
        assert bench.ask("GET", "/tasks", **asked, type="imageannotation").status_code == status


def test_project_required(start_sandbox: StartSandbox) -> None:
    """Without a project or a batch the list is refused with 400."""
    bench = Bench(start_sandbox, project_required=True)
    assert bench.ask("GET", "/tasks").status_code == 400
    assert bench.ask("GET", "/tasks", project="p").status_code == 200
    assert bench.ask("GET", "/tasks", batch="b").status_code == 200


def test_cancel_twice(start_sandbox: StartSandbox) -> None:
    """The second cancel is refused with 400 or accepted; the effect happens once in any case."""
    for reading, status in (("refused", 400), ("accepted", 200)):
        bench = Bench(start_sandbox, cancel_twice=reading)
        [task_id] = bench.make()
        assert bench.ask("POST", f"/task/{task_id}/cancel").status_code == 200
        assert bench.ask("POST", f"/task/{task_id}/cancel").status_code == status
        assert bench.server.backend.applied.count("task", task_id, "canceled") == 1


def test_total(start_sandbox: StartSandbox) -> None:
    """Of ten matches total says ten, no more than the cap, or too many."""
    totals = []
    for reading in choices_of()["total"]:
        bench = Bench(start_sandbox, total=reading, total_cap=4)
        bench.make(10)
        totals.append(bench.get("/tasks", limit=1)["total"])
        assert len(bench.walk(limit=3)) == 10
    exact, capped, over = totals
    assert (exact, capped) == (10, 4)
    assert over > 10


def test_total_cap(start_sandbox: StartSandbox) -> None:
    """The cap is where a capped total stops."""
    bench = Bench(start_sandbox, tasks=300, total="capped", total_cap=123)
    assert bench.get("/tasks", limit=1)["total"] == 123


def test_error_status_filter(start_sandbox: StartSandbox) -> None:
    """Filtering by status error gives the tasks in error, or 400."""
    taken, refusing = Bench(start_sandbox, tasks=300), Bench(start_sandbox, error_status_filter="refused")
    assert {doc["status"] for doc in taken.get("/tasks", status="error")["docs"]} == {"error"}
    assert refusing.ask("GET", "/tasks", status="error").status_code == 400


def test_updated_at_moves_on(start_sandbox: StartSandbox) -> None:
    """Metadata, tags and unique_id move updated_at or not; status, response and audits always do."""
    for reading, quiet_moves in (("all", True), ("content", False)):
        bench = Bench(start_sandbox, updated_at_moves_on=reading)
        [task_id] = bench.make()
        path = f"/task/{task_id}"
        assert moves(bench, path, bench.post, f"{path}/setMetadata", {"a": 1}) is quiet_moves
        assert moves(bench, path, bench.post, f"{path}/tags", ["a"]) is quiet_moves
        assert moves(bench, path, bench.post, f"{path}/unique_id", {"unique_id": "u"}) is quiet_moves
        assert moves(bench, path, bench.server.backend.complete, task_id)
        assert moves(bench, path, bench.ask, "POST", f"{path}/audit", {"accepted": True})
        assert moves(bench, path, bench.server.backend.recall, task_id)
        assert moves(bench, path, bench.post, f"{path}/cancel")


def moves(bench: Bench, path: str, change: Callable[..., Any], *args: Any) -> bool:
    """Return whether a change moves a task's updated_at."""
    before = bench.get(path)["updated_at"]
    bench.now += timedelta(seconds=1)
    change(*args)
    return bool(bench.get(path)["updated_at"] > before)


def test_hide_without_updated_at(start_sandbox: StartSandbox) -> None:
    """A filter on updated_at leaves out the tasks that have none, or shows them all the same."""
    hiding, showing = (
        Bench(start_sandbox, tasks=300, hide_without_updated_at=hide) for hide in (True, False)
    )
    after = {"updated_after": "2100-01-01"}
    assert hiding.get("/tasks", **after)["total"] == 0
    shown = showing.get("/tasks", **after)["docs"]
    assert shown
    assert not any("updated_at" in doc for doc in shown)


def test_completes_at_once(start_sandbox: StartSandbox) -> None:
    """A create is completed at once in test mode, in both modes, or in none."""
    statuses = {}
    for reading in choices_of()["completes_at_once"]:
        bench = Bench(start_sandbox, completes_at_once=reading)
        statuses[reading] = tuple(
            bench.ask("POST", "/task/imageannotation", BODY, key=key).json()["status"] for key in (TEST, LIVE)
        )
    assert statuses == {
        "test": ("completed", "pending"),
        "always": ("completed", "completed"),
        "never": ("pending", "pending"),
    }


def test_presigned_urls(start_sandbox: StartSandbox) -> None:
    """Without being asked for, signed URLs are absent, or present and different at every read."""
    requested, always = Bench(start_sandbox), Bench(start_sandbox, presigned_urls="always")
    for bench in (requested, always):
        bench.make()
    assert "attachmentS3Downloads" not in requested.get("/tasks")["docs"][0]
    reads = [always.get("/tasks")["docs"][0] for _ in range(2)]
    reads.append(always.get(f"/task/{reads[0]['task_id']}"))
    assert len({str(doc.pop("attachmentS3Downloads")) for doc in reads}) == 3
    assert reads[0] == reads[1] == reads[2]


def test_batches_next_token(start_sandbox: StartSandbox) -> None:
    """A page of batches gives no token, or one that leads to the next page."""
    plain, tokens = Bench(start_sandbox, tasks=300), Bench(start_sandbox, tasks=300, batches_next_token=True)
    assert "next_token" not in plain.get("/batches", limit=2)
    everything = tokens.get("/batches")["docs"]
    first = tokens.get("/batches", limit=2)
    second = tokens.get("/batches", limit=100, next_token=first["next_token"])
    assert first["docs"] + second["docs"] == everything
    assert "next_token" not in second
    assert tokens.ask("GET", "/batches", next_token="garbage").status_code == 400


def test_batches_reopen(start_sandbox: StartSandbox) -> None:
    """A completed batch stays so and takes no task, or reopens when a task is recalled or added."""
    for reopens, status, added in ((False, "completed", 400), (True, "in_progress", 200)):
        bench = Bench(start_sandbox, batches_reopen=reopens)
        bench.post("/projects", {"name": "p", "type": "imageannotation"})
        bench.post("/batches", {"name": "b", "project": "p"})
        [task_id] = bench.make(batch="b")
        bench.server.backend.complete(task_id)
        assert bench.get("/batches/b")["status"] == "completed"
        bench.server.backend.recall(task_id)
        assert bench.get("/batches/b")["status"] == status
        bench.server.backend.complete(task_id)
        assert bench.ask("POST", "/task/imageannotation", BODY | {"batch": "b"}).status_code == added
        assert bench.get("/batches/b")["status"] == status


def test_archived_projects(start_sandbox: StartSandbox) -> None:
    """Archived projects are in the plain list or only given when asked for."""
    for reading, listed in (("listed", True), ("hidden", False)):
        bench = Bench(start_sandbox, tasks=20, archived_projects=reading)
        assert any(project.get("archived") for project in bench.get("/projects")) is listed
        assert [project["name"] for project in bench.get("/projects", archived="true")] == ["Legacy boxes"]


def test_retry_after(start_sandbox: StartSandbox) -> None:
    """A 429 says when to come back in seconds, as a date that is not too early, or not at all."""
    seconds, date, none = (
        Bench(start_sandbox, retry_after=reading, faults=("429:100%:retry-after=2",)).ask("GET", "/tasks")
        for reading in choices_of()["retry_after"]
    )
    assert {answer.status_code for answer in (seconds, date, none)} == {429}
    assert seconds.headers["retry-after"] == "2"
    assert NOON + timedelta(seconds=2) <= parsedate_to_datetime(date.headers["retry-after"])
    assert parsedate_to_datetime(date.headers["retry-after"]) <= NOON + timedelta(seconds=3)
    assert "retry-after" not in none.headers


def test_rate_limit(start_sandbox: StartSandbox) -> None:
    """What exceeds it within a second is refused and counted, and does nothing; later all is well."""
    bench = Bench(start_sandbox, rate_limit=3)
    answers = [bench.ask("POST", "/task/imageannotation", BODY) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert (answers[-1].headers["retry-after"], len(bench.server.backend.documents("tasks"))) == ("1", 3)
    assert bench.server.backend.requests["(over rate_limit)"] == 2
    time.sleep(1.01)
    assert bench.ask("GET", "/tasks").status_code == 200


def test_clock_skew(start_sandbox: StartSandbox) -> None:
    """The Date of answers and the times of documents are ahead of this machine's clock."""
    bench = Bench(start_sandbox, clock_skew=90.0)
    answer = bench.ask("POST", "/task/imageannotation", BODY)
    assert parsedate_to_datetime(answer.headers["date"]) == NOON + timedelta(seconds=90)
    assert answer.json()["created_at"] == "2026-03-01T12:01:30.000Z"


def test_every_switch_has_a_test() -> None:
    """Each switch has the test above that bears its name."""
    assert {f"test_{field.name}" for field in fields(Switches)} <= set(globals())
