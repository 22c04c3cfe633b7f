"""Whatever is queued is done at Scale exactly once, in order, and can be read in the mirror at once."""

import json
from collections.abc import Callable, Iterator
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
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.queue.dispatch_summary import StopReason
from scalesync.queue.events import CommandSettled, StepStarted
from scalesync.queue.handlers.interface import Payload
from scalesync.queue.handlers.projects import CreateProject
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import BOX, DispatchEnv, dispatch_env, versions
from tests.support.hooked_store import HookedStore

Start = Callable[..., SandboxServer]

BODY = {"attachment": "https://example.com/1.jpg", "project": "p", "batch": "b"}
TASKS = ("t1", "t2", "t3")


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an account with two pending tasks."""
    with dispatch_env(database, sandbox) as made:
        seed(made)
        yield made


@pytest.fixture
def sqlite_env(sqlite_url: str, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return the same on SQLite only, for what has nothing to do with the database."""
    with opened(sqlite_url) as database, dispatch_env(database, sandbox) as made:
        seed(made)
        yield made


def seed(made: DispatchEnv) -> None:
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


def mirrored(database: Database, stream: str) -> dict[str, dict[str, Any]]:
    """Return what the mirror holds of a stream, by key."""
    kind = MAPPINGS[stream]
    with database.read() as conn:
        return {doc[kind.key]: doc for doc in map(json.loads, query.documents(conn, kind))}


def served(server: SandboxServer, stream: str) -> dict[str, dict[str, Any]]:
    """Return what the API holds of a stream, by key."""
    key = MAPPINGS[stream].key
    return {doc[key]: doc for doc in map(json.loads, server.backend.documents(stream))}


def assert_done(env: DispatchEnv, sandbox: SandboxServer, ids: list[int]) -> None:
    """Fail unless everything was done once, and every command says so."""
    assert env.states(ids) == ["delivered"] * len(ids)
    assert set(once(sandbox).values()) == {1}
    assert versions(sandbox) == [{"a": 1}, {"a": 2}, {"a": 2, "b": 3}]


def test_all_kinds_are_delivered_and_mirrored(
    env: DispatchEnv, sandbox: SandboxServer, database: Database
) -> None:
    """Each is sent once, with nothing looked up; what the API answered is in the mirror; again: nothing."""
    ids = env.put(*everything())
    summary = env.dispatch()

    assert_done(env, sandbox, ids)
    assert (summary.ended, summary.delivered, summary.sends, summary.looks) == (StopReason.DONE, 10, 10, 0)
    assert {env.ended(one)[1] for one in ids} == {"applied"}
    for stream in ("projects", "tasks"):
        assert mirrored(database, stream) == served(sandbox, stream)
    assert mirrored(database, "batches").keys() == {"b"}

    again = env.dispatch()
    assert (again.ended, again.requests, again.delivered) == (StopReason.DONE, 0, 0)


def test_a_command_tells_its_story(sqlite_env: DispatchEnv) -> None:
    """It keeps what the API named and every step; watchers see the steps in order, and the end after them."""
    ids = sqlite_env.put(*everything())
    sqlite_env.dispatch()
    results = [json.loads(sqlite_env.command(one).result or "{}") for one in ids]
    steps = [
        event.step
        for event in sqlite_env.events
        if isinstance(event, StepStarted) and event.command_id == ids[0]
    ]

    assert [result.get("name") for result in results if "name" in result] == ["p", "b", "p", "p", "b"]
    assert [len(result["task_id"]) for result in results if "task_id" in result] == [24] * 5
    assert {tuple(sqlite_env.log(one)[-1:]) for one in ids} == {("send delivered",)}
    assert steps == ["prepare", "arm", "send", "settle"]
    assert sorted(event.command.id for event in sqlite_env.events if isinstance(event, CommandSettled)) == ids


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


def test_each_kind_is_done_once_whatever_the_answer(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Applied and not told, applied late, or not applied: looked up, and sent again only if absent."""
    for number in NUMBERS:
        env.api.create_task(
            BOX, {"attachment": "https://example.com/0.jpg", "unique_id": f"old {number + 3}"}
        )
    ids = env.put(*five_of_each())
    sandbox.backend.faults.replace([f"{fault}@POST {place}" for place in PLACES for fault in FAULTS])
    summary = env.dispatch()

    assert env.states(ids) == ["delivered"] * len(ids)
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
    assert {env.ended(one)[1] for one in ids} == {"applied"}
    assert [env.command(one).ambiguous for one in ids] == [False] * len(ids)
    assert mirrored(env.database, "projects") == served(sandbox, "projects")


def test_a_task_that_is_there_already_is_not_made_again(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """A 409 leads to a look: the same content is delivered and mirrored, other content is dead."""
    body = {"attachment": "https://example.com/1.jpg"}
    for unique_id in ("same", "other"):
        env.api.create_task(BOX, {**body, "unique_id": unique_id})
    ids = env.put(
        new_commands.create_task(BOX, {**body, "unique_id": "same"}),
        new_commands.create_task(BOX, {"attachment": "https://example.com/2.jpg", "unique_id": "other"}),
    )
    env.dispatch()

    assert [env.ended(one) for one in ids] == [("delivered", "already_applied"), ("dead", "conflict")]
    assert "attachment" in (env.command(ids[1]).error or "")
    assert sandbox.backend.applied.count("unique_id", "same", "created") == 1
    assert "same" in {doc.get("unique_id") for doc in mirrored(env.database, "tasks").values()}


def test_what_the_api_refuses_is_dead_with_its_words(sqlite_env: DispatchEnv) -> None:
    """400 and 404 without doubt are the last word; what the API cannot even be asked is refused here."""
    ids = sqlite_env.put(
        new_commands.create_task(BOX, {"unique_id": "no attachment"}),
        new_commands.cancel_task(task_id="0" * 24),
        new_commands.cancel_task(unique_id="nobody's"),
        new_commands.update_project("nowhere", {}),
        new_commands.finalize_batch("nowhere"),
    )
    summary = sqlite_env.dispatch()

    assert [sqlite_env.ended(one) for one in ids] == [("dead", "rejected")] * 5
    assert (summary.ended, summary.dead) == (StopReason.DONE, 5)
    assert (sqlite_env.command(ids[0]).error_code, sqlite_env.command(ids[0]).error) == (
        400,
        "attachment is required.",
    )


def test_a_task_type_that_is_not_enabled_is_refused(sqlite_url: str, start_sandbox: Start) -> None:
    """A 402 on a create ends that command, and no other."""
    server = start_sandbox(types_not_enabled=(BOX,))
    with opened(sqlite_url) as database, dispatch_env(database, server) as env:
        ids = env.put(
            new_commands.create_task(BOX, {"attachment": "https://example.com/1.jpg"}),
            new_commands.create_task("annotation", {"attachment": "https://example.com/1.jpg"}),
        )
        env.dispatch()

        assert [env.ended(one) for one in ids] == [("dead", "rejected"), ("delivered", "applied")]


def test_a_cancel_that_clears_lets_the_name_be_used_again(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The delivered create gives up its key, so the same unique_id can be queued for another task."""
    body = {"attachment": "https://example.com/1.jpg", "unique_id": "u"}
    env.put(new_commands.create_task(BOX, body))
    env.dispatch()
    env.put(new_commands.cancel_task(unique_id="u", clear_unique_id=True))
    env.dispatch()
    [again] = env.put(new_commands.create_task(BOX, body))
    env.dispatch()

    assert env.ended(again) == ("delivered", "applied")
    assert sandbox.backend.applied.count("unique_id", "u", "created") == 2


def test_an_update_that_would_change_nothing_is_not_sent(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """It is delivered as a no_op, and the project it found is mirrored."""
    env.api.create_project({"name": "q", "type": BOX, "params": {"a": 1}})
    ids = env.put(
        new_commands.update_project("q", {"a": 1}), new_commands.update_project("q", {"a": 1}, patch=True)
    )
    summary = env.dispatch()

    assert [env.ended(one) for one in ids] == [("delivered", "no_op")] * 2
    assert (summary.sends, versions(sandbox, "q")) == (0, [{"a": 1}])
    assert "q" in mirrored(env.database, "projects")


def test_read_lag_after_a_creation_is_waited_out(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """A 404 on the batch that was created just before refuses nothing."""
    ids = sqlite_env.put(*everything())
    sandbox.backend.faults.replace(["404:100%:times=2@POST /batches/b/finalize"])
    sqlite_env.dispatch()

    assert_done(sqlite_env, sandbox, ids)
    assert [sqlite_env.command(one).failures for one in ids] == [0] * len(ids)


def test_a_kind_that_nobody_knows_is_held(sqlite_env: DispatchEnv) -> None:
    """A newer version queued it: this one leaves it to a person and goes on with the rest."""
    ids = sqlite_env.put(
        NewCommand("paint_task", "{}", "task:u"), new_commands.cancel_task(unique_id="old 1")
    )
    sqlite_env.dispatch()

    assert sqlite_env.states(ids) == ["queued", "delivered"]
    assert "paint_task" in (sqlite_env.command(ids[0]).hold_reason or "")


class Nameless(CreateProject):
    """Gets an answer that names nothing."""

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Create the project, and hand on another answer."""
        sent = super().send(api, payload)
        return sent and Document(msgspec.Raw(b'{"success": true}'), sent.served_at)


def test_a_200_that_names_nothing_is_looked_up(sqlite_env: DispatchEnv, sandbox: SandboxServer) -> None:
    """What it means is not known, so the API is asked."""
    [one] = sqlite_env.put(new_commands.create_project("p", BOX, {"a": 1}))
    summary = sqlite_env.dispatch(handlers={"create_project": Nameless()})

    assert (sqlite_env.ended(one), summary.sends, summary.looks) == (("delivered", "applied"), 1, 1)
    assert json.loads(sqlite_env.command(one).result or "") == {"name": "p"}
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
    env: DispatchEnv, sandbox: SandboxServer, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The command is settled without it, and the log says which command's answer is missing.

    A number that is beyond the database's own is none of these.
    """
    [one] = env.put(new_commands.create_project("huge", BOX, {"a": 1}))
    env.dispatch(handlers={"create_project": Huge(text)})

    assert env.ended(one) == ("delivered", "applied")
    assert sandbox.backend.applied.count("project", "huge", "created") == 1
    refused = "huge" not in mirrored(env.database, "projects")
    assert [record.message for record in caplog.records].count("answer not mirrored") == refused
    assert refused == (text == '{"name": {}}')


def test_a_claim_is_for_several_commands(sqlite_url: str, start_sandbox: Start) -> None:
    """A dispatcher with much to do locks the queue, which is one for all hosts, for two and more at once."""
    claims: list[str] = []
    server = start_sandbox(faults=tuple(f"latency:50%:seconds={each}" for each in (0.21, 0.12, 0.07)))
    with opened(sqlite_url) as database, dispatch_env(database, server) as env:
        store = HookedStore(database, env.store.owner, env.store.timing, after=claims.append)
        body = {"attachment": "https://example.com/1.jpg"}
        env.put(*(new_commands.create_task(BOX, body | {"unique_id": f"t{n}"}) for n in range(80)))
        summary = env.dispatch(DispatchOptions(workers=8), store=store)

    assert summary.delivered == 80
    assert claims.count("claim") <= 48
