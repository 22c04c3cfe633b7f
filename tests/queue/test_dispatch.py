"""Whatever is queued is done at Scale exactly once, in order, and can be read in the mirror at once."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from scalesync.api import ScaleApi
from scalesync.db.database import Database
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.models.api import Document
from scalesync.models.commands import Command, NewCommand
from scalesync.queue import new_commands
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.events import CommandSettled, StepStarted
from scalesync.queue.handlers.interface import Payload
from scalesync.queue.handlers.projects import CreateProject
from scalesync.sandbox import SandboxServer
from tests.fixtures.databases import opened
from tests.queue.queues import HASTY, QUICK, WHOLE, Desk, desk

Start = Callable[..., SandboxServer]

BOX = "imageannotation"
BODY = {"attachment": "https://example.com/1.jpg", "project": "p", "batch": "b"}
TASKS = ("t1", "t2", "t3")


@pytest.fixture
def at(database: Database, sandbox: SandboxServer) -> Iterator[Desk]:
    """Return a desk on each database, over an account with two pending tasks."""
    with desk(database, sandbox) as made:
        seed(made)
        yield made


@pytest.fixture
def alone(sqlite_url: str, sandbox: SandboxServer) -> Iterator[Desk]:
    """Return the same on SQLite only, for what has nothing to do with the database."""
    with opened(sqlite_url) as database, desk(database, sandbox) as made:
        seed(made)
        yield made


def seed(made: Desk) -> None:
    """Make two tasks."""
    for unique_id in ("old 1", "old 2"):
        made.api.create_task(BOX, {"attachment": "https://example.com/0.jpg", "unique_id": unique_id})


def everything() -> Iterator[NewCommand]:
    """Yield orders of all kinds, each thing after what it needs."""
    yield new_commands.create_project("p", BOX, {"a": 1}, rapid=True)
    yield new_commands.create_batch("b", "p")
    for unique_id in TASKS:
        yield new_commands.create_task(BOX, {**BODY, "unique_id": unique_id})
    yield new_commands.update_project("p", {"a": 2})
    yield new_commands.update_project("p", {"b": 3}, patch=True)
    yield new_commands.finalize_batch("b")
    yield new_commands.cancel_task(unique_id="old 1")
    yield new_commands.cancel_task(unique_id="old 2", clear_unique_id=True)


def once(server: SandboxServer) -> dict[tuple[str, str, str], int]:
    """Return how often each thing that `everything` asks for was done."""
    wanted = [
        ("project", "p", "created"),
        ("batch", "b", "created"),
        *(("unique_id", unique_id, "created") for unique_id in TASKS),
        ("batch", "b", "finalized"),
        ("unique_id", "old 1", "canceled"),
        ("unique_id", "old 2", "canceled"),
    ]
    return {effect: server.backend.applied.count(*effect) for effect in wanted}


def versions(server: SandboxServer, name: str = "p") -> list[dict[str, Any]]:
    """Return what each version of a project says."""
    [found] = [doc for doc in map(json.loads, server.backend.documents("projects")) if doc["name"] == name]
    stamps = {"version", "created_at"}
    return [{key: entry[key] for key in entry if key not in stamps} for entry in found["param_history"]]


def mirrored(database: Database, stream: str) -> dict[str, dict[str, Any]]:
    """Return what the mirror holds of a stream, by key."""
    kind = MAPPINGS[stream]
    with database.read() as conn:
        return {doc[kind.key]: doc for doc in map(json.loads, query.documents(conn, kind))}


def served(server: SandboxServer, stream: str) -> dict[str, dict[str, Any]]:
    """Return what the API holds of a stream, by key."""
    key = MAPPINGS[stream].key
    return {doc[key]: doc for doc in map(json.loads, server.backend.documents(stream))}


def assert_done(at: Desk, sandbox: SandboxServer, ids: list[int]) -> None:
    """Fail unless everything was done once, and every command says so."""
    assert at.states(ids) == ["delivered"] * len(ids)
    assert set(once(sandbox).values()) == {1}
    assert versions(sandbox) == [{"a": 1}, {"a": 2}, {"a": 2, "b": 3}]


def test_all_kinds_are_delivered_and_mirrored(at: Desk, sandbox: SandboxServer, database: Database) -> None:
    """Each is sent once, with nothing looked up; what the API answered is in the mirror; again: nothing."""
    ids = at.put(*everything())
    summary = at.dispatch()

    assert_done(at, sandbox, ids)
    assert (summary.ended, summary.delivered, summary.sends, summary.looks) == (StopReason.DONE, 10, 10, 0)
    assert {at.ended(one)[1] for one in ids} == {"applied"}
    for stream in ("projects", "tasks"):
        assert mirrored(database, stream) == served(sandbox, stream)
    assert mirrored(database, "batches").keys() == {"b"}

    again = at.dispatch()
    assert (again.ended, again.requests, again.delivered) == (StopReason.DONE, 0, 0)


def test_a_command_tells_its_story(alone: Desk) -> None:
    """It keeps what the API named and every step; watchers see the steps in order, and the end after them."""
    ids = alone.put(*everything())
    alone.dispatch()
    results = [json.loads(alone.command(one).result or "{}") for one in ids]
    steps = [
        event.step for event in alone.events if isinstance(event, StepStarted) and event.command_id == ids[0]
    ]

    assert [result.get("name") for result in results if "name" in result] == ["p", "b", "p", "p", "b"]
    assert [len(result["task_id"]) for result in results if "task_id" in result] == [24] * 5
    assert {tuple(alone.log(one)[-1:]) for one in ids} == {("send delivered",)}
    assert steps == ["prepare", "arm", "send", "settle"]
    assert sorted(event.command.id for event in alone.events if isinstance(event, CommandSettled)) == ids


FAULTS = [
    "applied-then-dropped:100%:times=1",
    "applied-then-500:100%:times=1",
    "applied-late:100%:times=1:seconds=0.2",
    "reset:100%:times=1",
    "503:100%:times=1",
]
PLACES = (
    "/projects",
    "/projects/*/setParams",
    "/batches",
    f"/task/{BOX}",
    "/batches/*/finalize",
    "/task/*/cancel",
)
NUMBERS = range(len(FAULTS))


def five_of_each() -> Iterator[NewCommand]:
    """Yield orders of all kinds, as many of each as there are faults."""
    for number in NUMBERS:
        name = f"p{number}"
        yield new_commands.create_project(name, BOX, {"a": 1}, rapid=True)
        yield new_commands.update_project(name, {"b": 2}, patch=number % 2 == 0)
        yield new_commands.create_batch(f"b{number}", name)
        yield new_commands.create_task(
            BOX, {**BODY, "unique_id": f"t{number}", "project": name, "batch": f"b{number}"}
        )
        yield new_commands.finalize_batch(f"b{number}")
        yield new_commands.cancel_task(unique_id=f"old {number + 3}", clear_unique_id=number % 2 == 0)


def test_each_kind_is_done_once_whatever_the_answer(at: Desk, sandbox: SandboxServer) -> None:
    """Applied and not told, applied late, or not applied: looked up, and sent again only if absent."""
    for number in NUMBERS:
        at.api.create_task(BOX, {"attachment": "https://example.com/0.jpg", "unique_id": f"old {number + 3}"})
    ids = at.put(*five_of_each())
    sandbox.backend.faults.replace([f"{fault}@POST {place}" for place in PLACES for fault in FAULTS])
    summary = at.dispatch()

    assert at.states(ids) == ["delivered"] * len(ids)
    assert [fault for fault, count in sandbox.backend.faults.injected.items() if count != 1] == []
    assert len(sandbox.backend.faults.injected) == len(PLACES) * len(FAULTS)
    assert summary.looks >= len(ids)
    counted = [
        ("project", "p{}", "created"),
        ("project", "p{}", "versioned"),
        ("batch", "b{}", "created"),
        ("batch", "b{}", "finalized"),
        ("unique_id", "t{}", "created"),
    ]
    effects = sandbox.backend.applied
    counts = {effects.count(kind, name.format(n), effect) for kind, name, effect in counted for n in NUMBERS}
    canceled = {effects.count("unique_id", f"old {number + 3}", "canceled") for number in NUMBERS}
    assert counts | canceled == {1}
    assert {at.ended(one)[1] for one in ids} == {"applied"}
    assert [at.command(one).ambiguous for one in ids] == [False] * len(ids)
    assert mirrored(at.database, "projects") == served(sandbox, "projects")


def test_an_unanswered_request_is_cut_off_and_looked_up(sqlite_url: str, sandbox: SandboxServer) -> None:
    """An API that says nothing, or never ends, holds a worker no longer than a request may last."""
    sandbox.backend.faults.replace(["hang:100%:times=1@POST", "trickle:100%:times=1@POST"])
    with opened(sqlite_url) as database, desk(database, sandbox, timing=HASTY) as at:
        ids = at.put(*(new_commands.create_project(name, BOX, {"a": "b" * 50}) for name in ("x", "y")))
        at.dispatch()

        assert at.states(ids) == ["delivered"] * 2
        assert [at.command(one).failures for one in ids] == [1, 1]
    assert [sandbox.backend.applied.count("project", name, "created") for name in ("x", "y")] == [1, 1]


def test_a_failed_look_is_no_absence(alone: Desk, sandbox: SandboxServer) -> None:
    """It is looked again until the API shows what came of the request; only unanswered sends are failures."""
    [one] = alone.put(new_commands.update_project("q", {"a": 2}))
    alone.api.create_project({"name": "q", "type": BOX, "params": {"a": 1}})
    work = alone.work()
    sandbox.backend.faults.replace(["applied-then-dropped:100%:times=1@POST"])
    list(work.run())
    sandbox.backend.faults.replace(["500:100%:times=1@GET", "reset:100%:times=1@GET"])
    summary = alone.dispatch()

    assert (versions(sandbox, "q"), alone.ended(one)) == ([{"a": 1}, {"a": 2}], ("delivered", "applied"))
    assert (summary.sends, alone.command(one).failures) == (0, 1)


def test_a_task_that_is_there_already_is_not_made_again(at: Desk, sandbox: SandboxServer) -> None:
    """A 409 leads to a look: the same content is delivered and mirrored, other content is dead."""
    body = {"attachment": "https://example.com/1.jpg"}
    for unique_id in ("same", "other"):
        at.api.create_task(BOX, {**body, "unique_id": unique_id})
    ids = at.put(
        new_commands.create_task(BOX, {**body, "unique_id": "same"}),
        new_commands.create_task(BOX, {"attachment": "https://example.com/2.jpg", "unique_id": "other"}),
    )
    at.dispatch()

    assert [at.ended(one) for one in ids] == [("delivered", "already_applied"), ("dead", "conflict")]
    assert "attachment" in (at.command(ids[1]).error or "")
    assert sandbox.backend.applied.count("unique_id", "same", "created") == 1
    assert "same" in {doc.get("unique_id") for doc in mirrored(at.database, "tasks").values()}


def test_what_the_api_refuses_is_dead_with_its_words(alone: Desk) -> None:
    """400 and 404 without doubt are the last word; what the API cannot even be asked is refused here."""
    ids = alone.put(
        new_commands.create_task(BOX, {"unique_id": "no attachment"}),
        new_commands.cancel_task(task_id="0" * 24),
        new_commands.cancel_task(unique_id="nobody's"),
        new_commands.update_project("nowhere", {}),
        new_commands.finalize_batch("nowhere"),
    )
    summary = alone.dispatch()

    assert [alone.ended(one) for one in ids] == [("dead", "rejected")] * 5
    assert (summary.ended, summary.dead) == (StopReason.DONE, 5)
    assert (alone.command(ids[0]).error_code, alone.command(ids[0]).error) == (400, "attachment is required.")


def test_a_task_type_that_is_not_enabled_is_refused(sqlite_url: str, start_sandbox: Start) -> None:
    """A 402 on a create ends that command, and no other."""
    server = start_sandbox(types_not_enabled=(BOX,))
    with opened(sqlite_url) as database, desk(database, server) as at:
        ids = at.put(
            new_commands.create_task(BOX, {"attachment": "https://example.com/1.jpg"}),
            new_commands.create_task("annotation", {"attachment": "https://example.com/1.jpg"}),
        )
        at.dispatch()

        assert [at.ended(one) for one in ids] == [("dead", "rejected"), ("delivered", "applied")]


def test_a_cancel_in_doubt_of_a_completed_task_is_too_late(alone: Desk, sandbox: SandboxServer) -> None:
    """Nobody could have won that race: it is discarded, says why, and needs no person."""
    [one] = alone.put(new_commands.cancel_task(unique_id="old 1"))
    sandbox.backend.faults.replace(["reset:100%:times=1@POST"])
    list(alone.work().run())
    sandbox.backend.complete(sandbox.backend.live.tasks.by_unique_id["old 1"])
    alone.dispatch()

    assert alone.ended(one) == ("discarded", "rejected")
    assert "completed" in (alone.command(one).error or "")


def test_a_cancel_that_clears_lets_the_name_be_used_again(at: Desk, sandbox: SandboxServer) -> None:
    """The delivered create gives up its key, so the same unique_id can be queued for another task."""
    body = {"attachment": "https://example.com/1.jpg", "unique_id": "u"}
    at.put(new_commands.create_task(BOX, body))
    at.dispatch()
    at.put(new_commands.cancel_task(unique_id="u", clear_unique_id=True))
    at.dispatch()
    [again] = at.put(new_commands.create_task(BOX, body))
    at.dispatch()

    assert at.ended(again) == ("delivered", "applied")
    assert sandbox.backend.applied.count("unique_id", "u", "created") == 2


def test_an_update_that_would_change_nothing_is_not_sent(at: Desk, sandbox: SandboxServer) -> None:
    """It is delivered as a no_op, and the project it found is mirrored."""
    at.api.create_project({"name": "q", "type": BOX, "params": {"a": 1}})
    ids = at.put(
        new_commands.update_project("q", {"a": 1}), new_commands.update_project("q", {"a": 1}, patch=True)
    )
    summary = at.dispatch()

    assert [at.ended(one) for one in ids] == [("delivered", "no_op")] * 2
    assert (summary.sends, versions(sandbox, "q")) == (0, [{"a": 1}])
    assert "q" in mirrored(at.database, "projects")


def test_an_update_in_doubt_stops_at_a_version_of_somebody_else(alone: Desk, sandbox: SandboxServer) -> None:
    """It is held for a person; once that one withdraws it, the next look drops it."""
    alone.api.create_project({"name": "q", "type": BOX, "params": {"a": 1}})
    [one] = alone.put(new_commands.update_project("q", {"a": 2}))
    sandbox.backend.faults.replace(["reset:100%:times=1@POST"])
    list(alone.work().run())
    alone.api.update_project("q", {"a": 9})
    summary = alone.dispatch(replace(WHOLE, max=1))
    held = alone.command(one)

    assert (held.state.value, held.ambiguous, "Version 1 " in (held.hold_reason or "")) == (
        "in_doubt",
        True,
        True,
    )
    assert (summary.ended, summary.in_doubt, summary.sends) == (StopReason.ENOUGH, 1, 0)
    alone.change(one, discard_requested=True, hold_reason=None)
    with desk(alone.database, sandbox, timing=replace(QUICK, settle=60)) as patient:
        patient.dispatch(replace(WHOLE, reconcile_only=True))
    assert (alone.states([one]), alone.command(one).hold_reason) == (["in_doubt"], None)
    alone.change(one, not_before=None)
    alone.dispatch()
    assert alone.ended(one)[0] == "discarded"
    assert versions(sandbox, "q") == [{"a": 1}, {"a": 9}]


def test_a_person_may_withdraw_what_is_in_doubt(at: Desk, sandbox: SandboxServer) -> None:
    """Dropped once it is proven absent, which takes the settle time; never sent again meanwhile."""
    [one] = at.put(new_commands.create_batch("never", "p"))
    sandbox.backend.faults.replace(["503:100%:times=1@POST"])
    list(at.work().run())
    at.change(one, discard_requested=True)
    summary = at.dispatch()

    assert (at.ended(one)[0], summary.discarded, summary.sends) == ("discarded", 1, 0)
    assert not [step for step in at.log(one)[1:] if step.startswith(("arm", "send"))]
    assert sandbox.backend.requests["POST /batches"] == 1


def test_a_command_that_failed_too_often_is_dead_once_proven_absent(at: Desk, sandbox: SandboxServer) -> None:
    """Not before the settle time is over, and with what went wrong last."""
    [one] = at.put(new_commands.create_batch("never", "p"))
    at.change(one, max_failures=2)
    sandbox.backend.faults.replace(["503:100%@POST"])
    summary = at.dispatch()

    assert (at.ended(one), at.command(one).failures) == (("dead", "exhausted"), 2)
    assert (at.command(one).error_code, summary.sends) == (503, 2)


def test_read_lag_after_a_creation_is_waited_out(alone: Desk, sandbox: SandboxServer) -> None:
    """A 404 on the batch that was created just before refuses nothing."""
    ids = alone.put(*everything())
    sandbox.backend.faults.replace(["404:100%:times=2@POST /batches/b/finalize"])
    alone.dispatch()

    assert_done(alone, sandbox, ids)
    assert [alone.command(one).failures for one in ids] == [0] * len(ids)


def test_a_kind_that_nobody_knows_is_held(alone: Desk) -> None:
    """A newer version queued it: this one leaves it to a person and goes on with the rest."""
    ids = alone.put(NewCommand("paint_task", "{}", "task:u"), new_commands.cancel_task(unique_id="old 1"))
    alone.dispatch()

    assert alone.states(ids) == ["queued", "delivered"]
    assert "paint_task" in (alone.command(ids[0]).hold_reason or "")


class Nameless(CreateProject):
    """Gets an answer that names nothing."""

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Create the project, and hand on another answer."""
        sent = super().send(api, payload)
        return sent and Document(msgspec.Raw(b'{"success": true}'), sent.served_at)


def test_a_200_that_names_nothing_is_looked_up(alone: Desk, sandbox: SandboxServer) -> None:
    """What it means is not known, so the API is asked."""
    [one] = alone.put(new_commands.create_project("p", BOX, {"a": 1}))
    summary = alone.dispatch(handlers={"create_project": Nameless()})

    assert (alone.ended(one), summary.sends, summary.looks) == (("delivered", "applied"), 1, 1)
    assert json.loads(alone.command(one).result or "") == {"name": "p"}
    assert sandbox.backend.applied.count("project", "p", "created") == 1


class Huge(CreateProject):
    """Gets an answer with a number that no column of Postgres holds, or with no name the mirror can use."""

    def __init__(self, text: str) -> None:
        self.text = text

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Create the project, and hand on another answer."""
        sent = super().send(api, payload)
        assert sent is not None
        return Document(msgspec.Raw(self.text.encode()), sent.served_at)

    def confirms(self, command: Command, answer: Document) -> bool:  # noqa: ARG002 - it is about the mirror
        """Return True."""
        return True

    def result(self, document: Document) -> str | None:
        """Return some name."""
        return super().result(document) or "{}"


@pytest.mark.parametrize("text", ['{"name": "huge", "x": 1e999999}', '{"name": {}}'])
def test_an_answer_that_the_mirror_cannot_take_is_delivered_all_the_same(
    at: Desk, sandbox: SandboxServer, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The command is settled without it, and the log says which command's answer is missing.

    A number that is beyond the database's own is none of these.
    """
    [one] = at.put(new_commands.create_project("huge", BOX, {"a": 1}))
    at.dispatch(handlers={"create_project": Huge(text)})

    assert at.ended(one) == ("delivered", "applied")
    assert sandbox.backend.applied.count("project", "huge", "created") == 1
    refused = "huge" not in mirrored(at.database, "projects")
    assert [record.message for record in caplog.records].count("answer not mirrored") == refused
    assert refused == (text == '{"name": {}}')
