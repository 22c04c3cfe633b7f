"""What the API refuses comes to its end in a few requests, and is dead only where nothing of it is there."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.errors import ScaleException
from scalesync.models.api import Document
from scalesync.models.commands import Command, NewCommand
from scalesync.queue import new_commands
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.batches import CreateBatch
from scalesync.queue.handlers.interface import Absent, CommandHandler, LookUp, Payload
from scalesync.queue.handlers.tasks import CancelTask, CreateTask
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import WHOLE, DispatchEnv, dispatch_env

BOX = "imageannotation"
BODY = {"attachment": "https://example.com/1.jpg"}
NOBODY = "0" * 24


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment on each database, over an account with a project."""
    with dispatch_env(database, sandbox) as made:
        made.api.create_project({"name": "p", "type": BOX})
        yield made


@pytest.fixture
def sqlite_env(sqlite_url: str, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return the same on SQLite only, for what has nothing to do with the database."""
    with opened(sqlite_url) as database, dispatch_env(database, sandbox) as made:
        made.api.create_project({"name": "p", "type": BOX})
        yield made


HOPELESS: dict[str, NewCommand] = {
    "a task without its attachment": new_commands.create_task(BOX, {"unique_id": "u"}),
    "a task of no type": new_commands.create_task("nothing", BODY),
    "a task in no batch": new_commands.create_task(BOX, {**BODY, "batch": "nowhere"}),
    "a batch in no project": new_commands.create_batch("b", "nowhere"),
    "no batch": new_commands.finalize_batch("nowhere"),
    "no project": new_commands.update_project("nowhere", {"a": 1}),
    "a project of no type": new_commands.create_project("q", "nothing", {}),
    "no task": new_commands.cancel_task(task_id=NOBODY),
    "no task of this name": new_commands.cancel_task(unique_id="nobody's"),
}


@pytest.mark.parametrize("order", HOPELESS.values(), ids=HOPELESS)
def test_what_can_only_fail_is_dead_after_one_send(env: DispatchEnv, order: NewCommand) -> None:
    """At once, and again after a distrust, and a retry after that, each with the API's own words."""
    [one] = env.put(order)
    ends = []
    for sends in (1, 2):
        summary = env.dispatch()
        assert (summary.dead, summary.in_doubt) == (1, 0)
        assert (summary.sends, summary.looks) <= (1, 2)
        assert env.command(one).sends <= sends
        ends.append((env.ended(one), env.command(one).error_code, env.command(one).error))
        with env.database.write() as conn:
            assert management.distrust(conn) == 0
            assert management.retry_dead(conn) == [one]
    assert ends[0][0] == ("dead", "rejected")
    assert ends[0] == ends[1]


@pytest.mark.parametrize("order", HOPELESS.values(), ids=HOPELESS)
def test_a_distrusted_command_that_can_only_fail(sqlite_env: DispatchEnv, order: NewCommand) -> None:
    """What was never sent, as far as is known, is settled by one look and one refusal."""
    [one] = sqlite_env.put(order)
    with sqlite_env.database.write() as conn:
        assert management.distrust(conn) == 1
    summary = sqlite_env.dispatch()

    assert sqlite_env.ended(one) == ("dead", "rejected")
    assert (summary.sends, summary.looks) <= (1, 3)


def test_a_refusal_after_a_lost_request_is_final_when_that_can_come_no_more(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """It is sent once more in doubt, and once more after the settle time; then it is dead."""
    [one] = sqlite_env.put(HOPELESS["a task without its attachment"])
    sandbox.backend.faults.replace(["503:100%:times=1@POST"])
    summary = sqlite_env.dispatch()

    assert sqlite_env.ended(one) == ("dead", "rejected")
    # Where the machine is slow, the settle time is over before the second.
    assert 2 <= summary.sends <= 3
    assert sqlite_env.command(one).ambiguous is False


class Unseen(CreateBatch):
    """A batch whose name is taken, and that nobody finds."""

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Raise what a taken name raises."""
        api.create_batch({**payload, "name": "taken"})
        return super().send(api, payload)

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:  # noqa: ARG002 - it finds nothing
        """Find nothing."""
        return Absent()


def test_a_taken_name_that_nobody_finds_is_a_conflict(
    sqlite_env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """A 409 may be an echo that a look does not show yet: it is final when it comes again, later."""
    sqlite_env.api.create_batch({"name": "taken", "project": "p"})
    [one] = sqlite_env.put(new_commands.create_batch("b", "p"))
    summary = sqlite_env.dispatch(
        replace(WHOLE, patience=30), handlers={**HANDLERS, "create_batch": Unseen()}
    )

    assert (sqlite_env.ended(one), sqlite_env.command(one).error_code) == (("dead", "conflict"), 409)
    assert (summary.sends, sqlite_env.command(one).failures) == (2, 1)
    assert sandbox.backend.applied.count("batch", "b", "created") == 0


class Misled(CreateTask):
    """Gets a refusal in place of the answer, whether or not it was applied."""

    def __init__(self, words: str, *, applied: bool, times: int = 1) -> None:
        self.words, self.applied, self.times = words, applied, times

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Send, or not, and raise the refusal, so many times."""
        if self.times == 0:
            return super().send(api, payload)
        self.times -= 1
        if self.applied:
            super().send(api, payload)
        error = ScaleException(self.words, 400)
        error.about_another = '"' in self.words
        raise error


@pytest.mark.parametrize(
    ("misled", "sends", "end"),
    [
        (Misled("attachment is required.", applied=True), 1, "delivered"),
        (Misled("attachment is required.", applied=False), 1, "dead"),
        (Misled('Batch "x" takes no more tasks.', applied=True), 1, "delivered"),
        (Misled('Batch "x" takes no more tasks.', applied=False), 2, "delivered"),
        (Misled('Batch "x" takes no more tasks.', applied=False, times=9), 2, "dead"),
    ],
)
def test_a_refusal_kills_nobody_else(
    sqlite_env: DispatchEnv, sandbox: SandboxServer, misled: Misled, sends: int, end: str
) -> None:
    """It is looked at whether it was applied; words about another object alone are not believed at once."""
    [one] = sqlite_env.put(new_commands.create_task(BOX, {**BODY, "unique_id": "u"}))
    summary = sqlite_env.dispatch(handlers={"create_task": misled})

    # One more where a look and a send take less than the settle time.
    assert summary.sends - sends in ({0, 1} if misled.times else {0})
    assert sqlite_env.states([one]) == [end]
    assert sandbox.backend.applied.count("unique_id", "u", "created") == (end == "delivered")


# Cancels that lose, and cancels that find somebody else ---------------------------------------------------


def completed(server: SandboxServer, task_id: str) -> None:
    """Let annotators finish a task."""
    server.backend.complete(task_id)


def begun(server: SandboxServer, task_id: str) -> None:
    """Let annotators begin a task."""
    with server.backend.locked():
        account = server.backend.live
        account.save_task({**account.task(task_id).doc(), "work_started": True})


def failed(server: SandboxServer, task_id: str) -> None:
    """Let Scale give a task up."""
    with server.backend.locked():
        account = server.backend.live
        account.save_task({**account.task(task_id).doc(), "status": "error"})


@pytest.mark.parametrize("lose", [completed, begun, failed])
@pytest.mark.parametrize("by", ["task_id", "unique_id"])
def test_a_cancel_that_came_too_late_needs_nobody(
    env: DispatchEnv, sandbox: SandboxServer, lose: Callable[[SandboxServer, str], None], by: str
) -> None:
    """It is discarded, says why, is queued again if that is asked for again, and nothing is dead."""
    env.api.create_task(BOX, {**BODY, "unique_id": "u"})
    task_id = sandbox.backend.live.tasks.by_unique_id["u"]
    by_id = by == "task_id"
    order = new_commands.cancel_task(task_id=task_id if by_id else None, unique_id=None if by_id else "u")
    [one] = env.put(order)
    lose(sandbox, task_id)
    summary = env.dispatch()

    assert (summary.discarded, summary.dead, summary.in_doubt) == (1, 0, 0)
    assert env.ended(one) == ("discarded", "rejected")
    assert "before it could be canceled" in (env.command(one).error or "")
    [again] = env.put(order)
    assert again > one


class Overtaken(CancelTask):
    """While its cancel is under way, and gets no answer, the unique_id goes to another task."""

    def __init__(self, server: SandboxServer, faults: list[str]) -> None:
        self.server, self.faults = server, faults

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Send without getting an answer, and then pass the unique_id on."""
        faults, self.faults = self.faults, []
        self.server.backend.faults.replace(faults)
        try:
            return super().send(api, payload)
        finally:
            self.server.backend.faults.replace([])
            if faults:
                self.pass_on()

    def pass_on(self) -> None:
        """Have somebody free the unique_id and give it to a new task."""
        with self.server.backend.locked():
            account = self.server.backend.live
            old = account.tasks.by_unique_id.get("u")
            if old is not None:
                doc = account.task(old).doc()
                doc.pop("unique_id")
                account.save_task(doc)
        with ScaleApi("live_key", ApiOptions(url=self.server.url)) as api:
            api.create_task(BOX, {**BODY, "unique_id": "u"})


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("fault", ["applied-then-dropped:100%@POST", "reset:100%@POST"])
def test_a_cancel_never_touches_another_task(
    env: DispatchEnv, sandbox: SandboxServer, fault: str, clear: bool
) -> None:
    """In doubt, it looks for the task that it found first, although another one has the unique_id by then."""
    env.api.create_task(BOX, {**BODY, "unique_id": "u"})
    first = sandbox.backend.live.tasks.by_unique_id["u"]
    [one] = env.put(new_commands.cancel_task(unique_id="u", clear_unique_id=clear))
    handlers: dict[str, CommandHandler] = {"cancel_task": Overtaken(sandbox, [fault])}
    env.dispatch(handlers=handlers)
    second = sandbox.backend.live.tasks.by_unique_id["u"]

    assert (env.ended(one), env.command(one).target) == (("delivered", "applied"), first)
    statuses = [sandbox.backend.live.task(task_id).status for task_id in (first, second)]
    assert (first != second, statuses) == (True, ["canceled", "pending"])
