"""Changes of what exists: each arrives once, in order behind what makes its object, and is in the mirror."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from scalesync.db.database import Database
from scalesync.errors import QueueError
from scalesync.models.api import Document, Page
from scalesync.models.commands import Command, CommandKind, NewCommand
from scalesync.queue import new_commands
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import Absent, Conflict, Foreign, LookUp, Present
from scalesync.sandbox import SandboxServer
from tests.queue.test_dispatch_sends import mirrored, served
from tests.support.dispatch_env import BOX, EPOCH, DispatchEnv, claimed, dispatch_env

_BODY = {"attachment": "https://example.com/0.jpg", "tags": ["old"], "metadata": {"n": 1}}
_SET, _ADD, _DELETE = CommandKind.SET_TASK_TAGS, CommandKind.ADD_TASK_TAGS, CommandKind.DELETE_TASK_TAGS


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment over an account with a pending and a completed task, and a batch."""
    with dispatch_env(database, sandbox) as made:
        made.api.create_project({"name": "p", "type": BOX, "params": {}})
        made.api.create_batch({"name": "b", "project": "p"})
        for unique_id in ("pending", "done"):
            made.api.create_task(BOX, {**_BODY, "unique_id": unique_id})
        sandbox.backend.complete(sandbox.backend.live.tasks.by_unique_id["done"])
        yield made


def _orders() -> Iterator[NewCommand]:
    yield new_commands.audit_task(unique_id="done", accepted=False, comments="Too wide.")
    yield new_commands.change_tags(_ADD, ["new", "old"], unique_id="pending")
    yield new_commands.change_tags(_DELETE, ["old", "never there"], unique_id="pending")
    yield new_commands.change_tags(_SET, ["a", "b", "a"], unique_id="done")
    yield new_commands.set_task_metadata({"n": 2, "deep": {"x": [1, None]}}, unique_id="pending")
    yield new_commands.update_task_unique_id("renamed", unique_id="pending")
    yield new_commands.clear_task_unique_id(unique_id="done")
    yield new_commands.set_batch_metadata("b", {"owner": "ann"})


def test_each_change_is_applied_once_and_mirrored(
    env: DispatchEnv, sandbox: SandboxServer, database: Database
) -> None:
    """The API shows all of them, and the mirror has the API's documents."""
    tasks = {doc.get("unique_id"): key for key, doc in served(sandbox, "tasks").items()}
    ids = env.put(*_orders())
    env.dispatch()

    assert env.states(ids) == ["delivered"] * len(ids)
    assert {env.ended(one)[1] for one in ids} == {"applied"}
    docs = served(sandbox, "tasks")
    pending, done = docs[tasks["pending"]], docs[tasks["done"]]
    assert (pending["tags"], pending["unique_id"]) == (["new"], "renamed")
    assert pending["metadata"] == {"n": 2, "deep": {"x": [1, None]}}
    assert (done["tags"], done.get("unique_id")) == (["a", "b"], None)
    assert [audit["audit_result"] for audit in done["audits"]] == ["rejected"]
    assert served(sandbox, "batches")["b"]["metadata"] == {"owner": "ann"}
    assert mirrored(database, "tasks") == docs
    applied = sandbox.backend.applied
    assert [applied.count("task", tasks["pending"], effect) for effect in ("tagged", "described")] == [2, 1]
    assert applied.count("task", tasks["done"], "audited") == 1


def test_changes_wait_for_the_create_of_their_task(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Tags, metadata and a cancel of a task that is queued come after it, in the order of the queue."""
    ids = env.put(
        new_commands.create_task(BOX, {**_BODY, "unique_id": "new"}),
        new_commands.change_tags(_ADD, ["x"], unique_id="new"),
        new_commands.set_task_metadata({"n": 3}, unique_id="new"),
        new_commands.change_tags(_DELETE, ["old"], unique_id="new"),
    )
    env.dispatch()

    assert env.states(ids) == ["delivered"] * 4
    task = sandbox.backend.live.tasks.by_unique_id["new"]
    doc = served(sandbox, "tasks")[task]
    assert (doc["tags"], doc["metadata"]) == (["x"], {"n": 3})


@pytest.mark.parametrize(
    ("order", "outcome", "words"),
    [
        (new_commands.audit_task(unique_id="pending", accepted=True), "rejected", "Only completed tasks"),
        (
            new_commands.change_tags(_ADD, ["x"], unique_id="nobody"),
            "rejected",
            "no task with this unique_id",
        ),
        (new_commands.change_tags(_ADD, ["x"], task_id="0" * 24), "rejected", "not found"),
        (new_commands.update_task_unique_id("done", unique_id="pending"), "conflict", "has this unique_id"),
        (new_commands.set_batch_metadata("nowhere", {}), "rejected", "not found"),
    ],
    ids=["audit of a pending task", "no such unique_id", "no such id", "taken unique_id", "no such batch"],
)
def test_what_the_api_refuses_is_dead_with_its_words(
    env: DispatchEnv, order: NewCommand, outcome: str, words: str
) -> None:
    """A person reads why, and it is not sent again."""
    [one] = env.put(order)
    env.dispatch()

    command = env.command(one)
    assert (command.state, command.outcome) == ("dead", outcome)
    assert words in str(command.error)


_CHANGES: list[tuple[str, Callable[[], object], str]] = [
    ("no task", new_commands.clear_task_unique_id, "has to be named"),
    ("no tag", lambda: new_commands.change_tags(_ADD, [], task_id="t"), "no tag to add"),
    ("None for tags", lambda: new_commands.change_tags(_SET, None, task_id="t"), "tags are None"),  # type: ignore[arg-type]
    ("an empty tag", lambda: new_commands.change_tags(_SET, [""], task_id="t"), "not empty"),
    ("metadata in a list", lambda: new_commands.set_task_metadata([1], task_id="t"), "must be an object"),  # type: ignore[arg-type]
    ("batch metadata in a text", lambda: new_commands.set_batch_metadata("b", "x"), "must be an object"),  # type: ignore[arg-type]
    ("a review by a word", lambda: new_commands.audit_task(task_id="t", accepted="yes"), "true or false"),  # type: ignore[arg-type]
    ("NaN", lambda: new_commands.set_task_metadata({"n": float("nan")}, task_id="t"), "cannot be sent"),
    ("no unique_id", lambda: new_commands.update_task_unique_id("", task_id="t"), "not empty"),
]


@pytest.mark.parametrize(("build", "words"), [row[1:] for row in _CHANGES], ids=[row[0] for row in _CHANGES])
def test_a_change_that_makes_no_sense_is_not_queued(build: Callable[[], object], words: str) -> None:
    """One sentence says what is wrong."""
    with pytest.raises(QueueError, match=words):
        build()


def _audit(**columns: Any) -> Command:
    return claimed(new_commands.audit_task(task_id="t", accepted=True, comments="good"), **columns)


_OURS = {"audit_result": "accepted", "audit_source": "customer", "comments": "good"}
_OTHER = {"audit_result": "rejected", "audit_source": "customer"}
_FIRST, _LATER = "2026-11-01T08:00:00.000Z", "2026-11-02T08:00:00.000Z"


@pytest.mark.parametrize(
    ("fields", "base", "found"),
    [
        ({"audits": [_OURS, _OTHER]}, 1, Present),
        ({"audits": [_OURS]}, 1, Absent),
        ({"audits": [_OTHER, _OURS]}, 1, Absent),
        ({"audits": [_OTHER | {"audited_at": _FIRST}, _OURS | {"audited_at": _LATER}]}, 1, Present),
        ({"audits": [_OURS | {"audited_at": _FIRST}, _OTHER | {"audited_at": _LATER}]}, 1, Absent),
        ({"audits": [_OURS]}, -1, Present),
        ({"audits": [{**_OURS, "audit_source": "scale"}]}, 0, Absent),
        ({"audits": [{**_OURS, "comments": "bad"}]}, 0, Absent),
        ({"customer_review_status": "accepted", "customer_review_comments": "good"}, -1, Present),
        ({"customer_review_status": "rejected"}, -1, Absent),
        ({"customer_review_status": "accepted", "customer_review_comments": "good"}, -2, Foreign),
        ({"audits": [_OURS, _OTHER]}, None, Present),
    ],
    ids=[
        "after the base",
        "before the base",
        "another after the base",
        "after the base, by its time",
        "before the base, by its time",
        "the first ever",
        "by Scale",
        "other comments",
        "no list, new review",
        "no list, not there",
        "no list, the same review before",
        "after distrust",
    ],
)
def test_an_audit_is_found_by_what_was_there_before(
    fields: dict[str, Any], base: int | None, found: type[LookUp]
) -> None:
    """By the list of audits; without one, by the last review, unless that was the same before."""
    assert isinstance(_look_up(_audit(base=base), fields), found)


def test_another_holder_of_the_unique_id_is_a_conflict() -> None:
    """Then it is not sent again and again."""
    order = new_commands.update_task_unique_id("taken", task_id="t")
    found = _look_up(claimed(order), {"unique_id": "mine"}, [{"task_id": "o", "unique_id": "taken"}])
    assert found == Conflict("Task o has this unique_id.")


class _Scripted:
    """An API with one task, and with what it lists."""

    def __init__(self, fields: dict[str, Any], listed: list[dict[str, Any]]) -> None:
        self._fields, self._listed = fields, listed

    def task(self, task_id: str) -> Any:
        """Return the task."""
        return _document({"task_id": task_id, **self._fields})

    def tasks(self, *_: object, **__: object) -> Any:
        """Return what is listed."""
        return _page(self._listed)


def _look_up(command: Command, fields: dict[str, Any], listed: list[dict[str, Any]] | None = None) -> LookUp:
    api: Any = _Scripted(fields, listed or [])
    return HANDLERS[command.kind].look_up(api, command)


def _document(fields: dict[str, Any]) -> Any:
    return Document(msgspec.Raw(json.dumps(fields).encode()), EPOCH)


def _page(listed: list[dict[str, Any]]) -> Any:
    return Page(tuple(_document(each).raw for each in listed), len(listed), None, False, EPOCH)
