"""Quality tasks and callbacks: sent once, and held where nobody can see whether they were."""

import json
from collections.abc import Callable, Iterator

import pytest

from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.models.commands import CommandKind, NewCommand
from scalesync.queue import file_commands, new_commands
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.sandbox import SandboxServer
from tests.support.dispatch_env import BOX, DispatchEnv, dispatch_env

ONCE = DispatchOptions(workers=1, patience=1, max=1)
BODY = {"attachment": "https://example.com/1.jpg", "expected_response": {"annotations": []}}


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment over an account with a task."""
    with dispatch_env(database, sandbox) as made:
        made.api.create_task(BOX, {"attachment": "https://example.com/0.jpg", "unique_id": "t"})
        yield made


def quality(kind: CommandKind = CommandKind.CREATE_TRAINING_TASK, **body: object) -> NewCommand:
    """Return the create of a quality task."""
    return new_commands.create_quality_task(kind, BOX, {**BODY, **body})


def made(sandbox: SandboxServer) -> list[str]:
    """Return the ids of all quality tasks."""
    return list(sandbox.backend.live.objects["quality_tasks"])


def called(sandbox: SandboxServer) -> int:
    """Return how often the callback of the task was sent."""
    return sandbox.backend.applied.count("task", sandbox.backend.live.tasks.by_unique_id["t"], "called_back")


def test_quality_tasks_are_made_once_and_their_ids_are_known(
    env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """The same content is one task of each kind; a file's address goes into it."""
    ids = env.put(
        file_commands.import_file("https://example.com/1.jpg", reference_id="f"),
        quality(),
        quality(),
        quality(CommandKind.CREATE_EVALUATION_TASK, attachment="scalesync-file:f"),
    )
    env.dispatch()
    assert ids[1] == ids[2]
    assert env.states(ids) == ["delivered"] * 4
    results = [json.loads(env.command(one).result or "")["id"] for one in (ids[1], ids[3])]
    assert sorted(results) == sorted(made(sandbox))
    there = sandbox.backend.live.objects["quality_tasks"][results[1]]
    assert there["attachment"].startswith("scaledata://")


def test_a_callback_is_sent_again_by_id_or_behind_a_create(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """Each command once; a task that is not there is refused."""
    task_id = sandbox.backend.live.tasks.by_unique_id["t"]
    ids = env.put(
        new_commands.send_callback(task_id=task_id),
        new_commands.send_callback(unique_id="t"),
        new_commands.create_task(BOX, {**BODY, "unique_id": "new"}),
        new_commands.send_callback(unique_id="new"),
        new_commands.send_callback(unique_id="nobody"),
    )
    env.dispatch()
    assert env.states(ids) == ["delivered"] * 4 + ["dead"]
    assert called(sandbox) == 2


@pytest.mark.parametrize(
    ("order", "count"),
    [(quality(), lambda server: len(made(server))), (new_commands.send_callback(unique_id="t"), called)],
    ids=["quality task", "callback"],
)
@pytest.mark.parametrize("fault", ["applied-then-dropped", "reset"])
def test_what_got_no_answer_is_held_and_sent_again_by_a_person_only(
    env: DispatchEnv,
    sandbox: SandboxServer,
    order: NewCommand,
    count: Callable[[SandboxServer], int],
    fault: str,
) -> None:
    """The sentence says what a retry does; after it the command is delivered."""
    sandbox.backend.faults.replace((f"{fault}:100%@POST",))
    [one] = env.put(order)
    env.dispatch(ONCE)
    sandbox.backend.faults.replace(())
    before = count(sandbox)
    env.dispatch()
    held = env.command(one)
    assert (held.state, held.left_to_a_person, held.sends) == ("in_doubt", True, 1)
    assert "cannot be asked" in str(held.hold_reason)
    with env.database.write() as conn:
        management.retry(conn, one)
    env.dispatch()
    assert env.ended(one) == ("delivered", "applied")
    assert count(sandbox) == before + 1


def test_a_distrusted_queue_holds_what_it_cannot_ask_about(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """It may have been sent since the backup."""
    ids = env.put(quality(), new_commands.send_callback(unique_id="t"))
    with env.database.write() as conn:
        management.distrust(conn)
    env.dispatch()
    assert [env.command(one).left_to_a_person for one in ids] == [True, True]
    assert (made(sandbox), called(sandbox)) == ([], 0)
