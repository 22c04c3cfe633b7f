"""Tasks that refer to queued files: sent behind them, with their addresses, once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scalesync.db.database import Database
from scalesync.db.queue import listing, management
from scalesync.errors import QueueError
from scalesync.models.attachments import reference, resources_in, with_addresses
from scalesync.models.commands import CommandKind, NewCommand
from scalesync.queue import file_commands, new_commands
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.sandbox import SandboxServer
from tests.queue.test_dispatch_sends import served
from tests.support.commands import mirror, put
from tests.support.dispatch_env import BOX, DispatchEnv, dispatch_env

A, B = "scalesync-file:a", "scalesync-file:b"
ONCE = DispatchOptions(workers=1, patience=1, max=1)


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment over an empty account."""
    with dispatch_env(database, sandbox) as made:
        yield made


def file(name: str) -> NewCommand:
    """Return the import of a file."""
    return file_commands.import_file(f"https://example.com/{name}.jpg", reference_id=name)


def task(name: str, **body: Any) -> NewCommand:
    """Return a create with these fields."""
    return new_commands.create_task(BOX, {"unique_id": name, **body})


def addresses(sandbox: SandboxServer) -> dict[str, str]:
    """Return the addresses of files by reference_id."""
    files = [kept["shown"] for kept in sandbox.backend.live.objects["files"].values()]
    return {file["reference_id"]: file["attachment_url"] for file in files}


def test_the_addresses_of_files_take_the_places_of_references(
    env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """Anywhere in the body, several in one; only whole texts; what is stored keeps the references."""
    body = {
        "attachment": A,
        "attachments": [B, {"x": A}],
        "metadata": {"note": f"see {A}", A: 1, "q": f'"{A}"'},
    }
    ids = env.put(file("a"), file("b"), task("t", **body))
    assert env.command(ids[2]).needed_files == ("file:a", "file:b")
    env.dispatch()

    assert env.states(ids) == ["delivered"] * 3
    known = addresses(sandbox)
    [doc] = served(sandbox, "tasks").values()
    assert doc["params"]["attachment"] == known["a"]
    assert doc["params"]["attachments"] == [known["b"], {"x": known["a"]}]
    assert doc["metadata"] == body["metadata"]
    assert json.loads(env.command(ids[2]).payload)["body"] == {"unique_id": "t", **body}
    assert env.put(task("t", **body)) == [ids[2]]


def test_a_task_waits_for_its_files_and_says_so(env: DispatchEnv) -> None:
    """A higher priority changes nothing; `why` leads to the first file that is not there."""
    ids = env.put(file("a"), file("b"), new_commands.create_task(BOX, {"attachment": A, "also": B}))
    with env.database.read() as conn:
        assert [shown.command.id for shown in listing.why(conn, ids[2])] == [ids[2], ids[0]]
    env.dispatch(ONCE)
    env.dispatch(ONCE)
    assert env.states(ids) == ["delivered", "delivered", "queued"]
    with env.database.read() as conn:
        assert [shown.display for shown in listing.why(conn, ids[2])] == ["ready"]


def test_a_file_that_is_not_queued_is_named(env: DispatchEnv) -> None:
    """Also one that was discarded; nothing is queued."""
    [one] = env.put(file("a"))
    with env.database.write() as conn:
        management.discard(conn, one)
    for wrong in (A, B):
        with pytest.raises(QueueError, match="no file of this reference_id is queued"):
            env.put(task("t", attachment=wrong))


def test_a_dead_file_blocks_and_a_retry_lets_go_on(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """As a dead batch blocks its tasks."""
    sandbox.backend.faults.replace(("400:100%@POST",))
    ids = env.put(file("a"), task("t", attachment=A))
    env.dispatch()
    assert env.states(ids) == ["dead", "queued"]
    with env.database.read() as conn:
        assert "which is dead" in str(listing.why(conn, ids[1])[0].reason)
    sandbox.backend.faults.replace(())
    with env.database.write() as conn:
        management.retry(conn, ids[0])
    env.dispatch()
    assert env.states(ids) == ["delivered"] * 2


def test_a_discarded_file_takes_its_tasks_with_it(env: DispatchEnv) -> None:
    """And what depends on these; tasks of other files stay."""
    ids = env.put(
        file("a"),
        file("b"),
        task("t", attachment=A, also=B),
        new_commands.change_tags(CommandKind.ADD_TASK_TAGS, ["x"], unique_id="t"),
        task("u", attachment=B),
    )
    with env.database.write() as conn:
        discarded = management.discard(conn, ids[0])
    assert discarded.also == (ids[2], ids[3])
    assert env.states(ids) == ["discarded", "queued", "discarded", "discarded", "queued"]
    assert env.ended(ids[2]) == ("discarded", "dependency_failed")


def test_a_file_queued_anew_takes_the_place_of_a_dead_one(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The task waits for the new one, though that is younger, once the dead one is discarded."""
    sandbox.backend.faults.replace(("400:100%@POST",))
    ids = env.put(file("a"), task("t", attachment=A))
    env.dispatch()
    sandbox.backend.faults.replace(())
    [anew] = env.put(file("a"))
    with env.database.write() as conn:
        assert management.discard(conn, ids[0]).also == ()
        assert listing.why(conn, ids[1])[-1].command.id == anew
    env.dispatch()
    assert env.states([anew, ids[1]]) == ["delivered"] * 2


def test_a_task_without_an_address_is_never_sent(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """A file whose answer this database lost: the task is held, and sent once the file is queued anew."""
    ids = env.put(file("a"), task("t", attachment=A))
    env.dispatch(ONCE)
    env.change(ids[0], state="discarded", result=None)
    env.dispatch()

    held = env.command(ids[1])
    assert (held.state, held.sends) == ("queued", 0)
    assert "needs the address of the file 'a'" in str(held.hold_reason)
    assert served(sandbox, "tasks") == {}


def test_a_task_in_doubt_is_recognized_by_the_address_that_was_sent(
    env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """The look-up compares with the body as it was sent, not with the reference."""
    ids = env.put(file("a"), task("t", attachment=A))
    env.dispatch(ONCE)
    sandbox.backend.faults.replace(("applied-then-dropped:100%@POST",))
    env.dispatch(ONCE)
    sandbox.backend.faults.replace(())
    env.dispatch()
    assert env.ended(ids[1]) == ("delivered", "applied")
    assert sandbox.backend.applied.count("unique_id", "t", "created") == 1


def test_another_task_of_the_same_name_with_a_file_is_a_conflict(
    env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """A task in doubt whose attachment is another one is not taken for ours."""
    env.api.create_task(BOX, {"unique_id": "t", "attachment": "https://example.com/other.jpg"})
    ids = env.put(file("a"), task("t", attachment=A))
    env.dispatch()
    assert env.ended(ids[1]) == ("dead", "conflict")
    assert len(served(sandbox, "tasks")) == 1


def test_a_mirrored_task_with_the_files_address_is_the_same(database: Database) -> None:
    """A reference is equal to any address: what is mirrored already is not queued again."""
    put(database, file("a"))
    mirror(database, "tasks", task_id="1", unique_id="t", type=BOX, params={"attachment": "scaledata://1"})
    assert put(database, task("t", attachment=A)).mirrored == "1"


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"a": A, "b": [B, A]}, ("file:a", "file:b")),
        ({A: 1, "b": f" {A}", "c": f'"{A}"', "d": "scalesync-file:", "e": f'x\\"{A}'}, ()),
        ({"a": 'scalesync-file:q"uo\\te', "b": "scalesync-file:ü\n"}, ('file:q"uo\\te', "file:ü\n")),
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_references_are_whole_texts(payload: dict[str, Any], found: tuple[str, ...], plain: bool) -> None:
    """Of any characters, as either database writes JSON; names and parts of texts are none."""
    text = json.dumps(payload, ensure_ascii=plain)
    assert resources_in(text) == found
    known = {resource: f'x"{number}' for number, resource in enumerate(found)}
    replaced = json.loads(with_addresses(text, known))
    back = {address: reference(resource) for resource, address in known.items()}
    again = {
        n: [back.get(x, x) for x in v] if isinstance(v, list) else back.get(v, v) for n, v in replaced.items()
    }
    assert again == payload
    assert with_addresses(text, {}) == text
