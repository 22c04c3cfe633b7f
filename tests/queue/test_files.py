"""Files: each is made once by its reference_id, or held with a sentence where nobody can see it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.errors import ConflictError, QueueError
from scalesync.models.commands import GENERATED, CommandState, NewCommand
from scalesync.models.queue_state import DiscardAnswer
from scalesync.queue import file_commands, new_commands
from scalesync.queue.dispatch_options import DispatchOptions
from scalesync.sandbox import SandboxServer
from tests.queue.test_dispatch_sends import served
from tests.support.dispatch_env import BOX, DispatchEnv, dispatch_env

URL = "https://example.com/1.jpg"
ONCE = DispatchOptions(workers=1, patience=1, max=1)


@pytest.fixture
def env(database: Database, sandbox: SandboxServer) -> Iterator[DispatchEnv]:
    """Return an environment over an empty account."""
    with dispatch_env(database, sandbox) as made:
        yield made


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Return a file of more than one piece, with a name that needs care."""
    path = tmp_path / "süß & 1;.jpg"
    path.write_bytes(bytes(range(256)) * 1_000)
    return path


def kept(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Return what the sandbox keeps of each file."""
    files = sandbox.backend.live.objects["files"].values()
    return sorted(files, key=lambda file: str(file["shown"].get("reference_id")))


def test_files_are_made_once_and_their_addresses_are_known(
    env: DispatchEnv, sandbox: SandboxServer, picture: Path
) -> None:
    """The bytes arrive as they are, with their fields; nothing is mirrored."""
    fields = {"project_name": "P", "metadata": {"n": [1, None]}, "display_name": "One: ä"}
    ids = env.put(
        file_commands.upload_file(picture, **fields, reference_id="one"),
        file_commands.import_file(URL, reference_id="two", metadata={"n": 2}),
    )
    env.dispatch()

    assert env.states(ids) == ["delivered"] * 2
    uploaded, imported = kept(sandbox)
    size, digest = file_commands.described(picture)
    assert (uploaded["shown"]["size"], uploaded["sha256"]) == (size, digest)
    sent = {**fields, "reference_id": "one", "filename": picture.name}
    assert {name: uploaded["shown"][name] for name in sent} == sent
    assert imported["shown"]["metadata"] == {"n": 2}
    for one, file in zip(ids, (uploaded, imported), strict=True):
        result = json.loads(env.command(one).result or "")
        assert result == {name: file["shown"][name] for name in ("id", "attachment_url")}
    assert served(sandbox, "tasks") == {}


def test_a_file_without_a_reference_id_gets_one_from_its_content(
    env: DispatchEnv, picture: Path, tmp_path: Path
) -> None:
    """The same bytes under the same name are the same file, wherever they lie; other fields make another."""
    elsewhere = tmp_path / "copy" / picture.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(picture.read_bytes())
    orders = [
        file_commands.upload_file(picture),
        file_commands.upload_file(elsewhere),
        file_commands.upload_file(picture, display_name="Another"),
        file_commands.import_file(URL),
        file_commands.import_file(URL),
    ]
    ids = env.put(*orders)

    assert ids == [ids[0], ids[0], ids[2], ids[3], ids[3]]
    assert len(set(ids)) == 3
    assert all(order.resource.startswith(f"file:{GENERATED}") for order in orders)


def test_another_content_under_the_same_reference_id_is_a_conflict(env: DispatchEnv, picture: Path) -> None:
    """Nothing is queued, and the difference is said."""
    env.put(file_commands.import_file(URL, reference_id="one"))
    for order in (
        file_commands.import_file("https://example.com/2.jpg", reference_id="one"),
        file_commands.upload_file(picture, reference_id="one"),
    ):
        with pytest.raises(ConflictError, match="another import_file of 'one'"):
            env.put(order)


def test_a_file_waits_for_the_create_of_its_project(env: DispatchEnv) -> None:
    """If that is queued."""
    ids = env.put(new_commands.create_project("P", BOX, {}), file_commands.import_file(URL, project_name="P"))
    env.dispatch(ONCE)
    assert env.states(ids) == ["delivered", "queued"]


def _gone(path: Path) -> None:
    path.unlink()


def _changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


@pytest.mark.parametrize("spoil", [_gone, _changed])
def test_a_file_that_is_not_what_was_queued_is_not_sent(
    env: DispatchEnv, sandbox: SandboxServer, picture: Path, spoil: Callable[[Path], None]
) -> None:
    """The command is dead and says which file it is; put back, it is sent by a retry."""
    content = picture.read_bytes()
    [one] = env.put(file_commands.upload_file(picture))
    spoil(picture)
    env.dispatch()

    dead = env.command(one)
    assert (dead.state, dead.outcome, dead.sends) == ("dead", "rejected", 0)
    assert str(picture) in str(dead.error)
    assert "put the file back" in str(dead.error)
    assert sandbox.backend.requests["POST /files/upload"] == 0
    picture.write_bytes(content)
    with env.database.write() as conn:
        management.retry(conn, one)
    env.dispatch()
    assert env.ended(one) == ("delivered", "applied")


def test_a_file_that_changes_while_it_is_sent_never_arrives(
    env: DispatchEnv, sandbox: SandboxServer, picture: Path
) -> None:
    """Between the comparison and the last byte: the request is not completed, and the doubt is said."""
    [one] = env.put(file_commands.upload_file(picture))
    steps = env.work(one).run()
    while next(steps) != "send":
        pass
    _changed(picture)
    for _ in steps:
        pass
    assert "the file changed while it was sent" in str(env.command(one).error)
    env.dispatch()

    held = env.command(one)
    assert (held.state, held.left_to_a_person) == ("in_doubt", True)
    assert "is not the file that was queued" in str(held.hold_reason)
    assert kept(sandbox) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    ],
    ids=["missing", "empty", "a directory"],
)
def test_a_file_that_cannot_be_sent_is_not_queued(
    picture: Path, spoil: Callable[[Path], object], words: str
) -> None:
    """One sentence says why."""
    spoil(picture)
    with pytest.raises(QueueError, match=words):
        file_commands.upload_file(picture)


def test_a_file_larger_than_the_api_takes_is_not_queued(tmp_path: Path) -> None:
    """80 MB (documented)."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(file_commands.MAX_BYTES + 1)
    with pytest.raises(QueueError, match="at most 83,886,080"):
        file_commands.upload_file(large)


@pytest.mark.parametrize(
    "build",
    [
        lambda: file_commands.import_file("nowhere"),
        lambda: file_commands.import_file(URL, reference_id=""),
        lambda: file_commands.import_file(URL, reference_id=7),
        lambda: file_commands.import_file(URL, project_name=""),
        lambda: file_commands.import_file(URL, metadata={"n": float("nan")}),
    ],
)
def test_a_file_that_makes_no_sense_is_not_queued(build: Callable[[], NewCommand]) -> None:
    """One sentence each."""
    with pytest.raises(QueueError):
        build()


def test_an_answer_that_is_lost_before_the_file_was_made_costs_nothing(
    env: DispatchEnv, sandbox: SandboxServer
) -> None:
    """It is sent again at once, without a look-up."""
    sandbox.backend.faults.replace(("reset:100%@POST",))
    [one] = env.put(file_commands.import_file(URL))
    env.dispatch(ONCE)
    sandbox.backend.faults.replace(())
    env.dispatch()

    assert env.ended(one) == ("delivered", "applied")
    assert len(kept(sandbox)) == 1


@pytest.fixture
def doubtful(env: DispatchEnv, sandbox: SandboxServer) -> int:
    """Return a command whose file is there, and whose answer was lost."""
    sandbox.backend.faults.replace(("applied-then-dropped:100%@POST",))
    [one] = env.put(file_commands.import_file(URL, reference_id="one"))
    env.dispatch(ONCE)
    sandbox.backend.faults.replace(())
    return one


def test_a_file_whose_answer_was_lost_is_held_and_says_so(
    env: DispatchEnv, sandbox: SandboxServer, doubtful: int
) -> None:
    """The file is there once, and its address is unknown; a retry finds the same."""
    for _ in range(2):
        env.dispatch()
        held = env.command(doubtful)
        assert (held.state, held.left_to_a_person) == ("in_doubt", True)
        assert "Scale has a file with this reference_id" in str(held.hold_reason)
        with env.database.write() as conn:
            management.retry(conn, doubtful)
        assert env.command(doubtful).state is CommandState.QUEUED

    assert sandbox.backend.applied.count("file", "one", "created") == 1


def test_a_held_file_is_let_go_by_a_discard(env: DispatchEnv, doubtful: int) -> None:
    """At once, since the person has read that it may be there; its reference_id is free in the queue."""
    env.dispatch()
    with env.database.write() as conn:
        discarded = management.discard(conn, doubtful)
    gone = env.command(doubtful)

    assert (discarded.answer, gone.state) == (DiscardAnswer.DISCARDED, "discarded")
    assert "Scale has a file with this reference_id" in str(gone.error)
    assert env.put(file_commands.import_file(URL, reference_id="one")) != [doubtful]


def test_a_discard_before_the_doubt_was_told_is_told_first(
    env: DispatchEnv, sandbox: SandboxServer, doubtful: int
) -> None:
    """Nothing more is sent, and the command is held until the person discards it again."""
    requests = sandbox.backend.requests["POST /files/import"]
    with env.database.write() as conn:
        assert management.discard(conn, doubtful).answer is DiscardAnswer.REQUESTED
    env.dispatch()

    assert env.command(doubtful).left_to_a_person
    assert sandbox.backend.requests["POST /files/import"] == requests
    with env.database.write() as conn:
        assert management.discard(conn, doubtful).answer is DiscardAnswer.DISCARDED


def test_a_reference_id_that_somebody_else_has_is_held(env: DispatchEnv) -> None:
    """Nobody can see whose file it is."""
    env.api.create("files/import", payload={"file_url": "https://other.example/9", "reference_id": "one"})
    [one] = env.put(file_commands.import_file(URL, reference_id="one"))
    env.dispatch()

    assert (env.command(one).left_to_a_person, env.command(one).error_code) == (True, 409)


def test_a_refusal_is_believed_the_second_time(env: DispatchEnv, sandbox: SandboxServer) -> None:
    """The first may have been the answer to another request; sent again, the API says the same: dead."""
    sandbox.backend.faults.replace(("400:100%@POST",))
    [one] = env.put(file_commands.import_file(URL))
    env.dispatch()

    assert env.ended(one) == ("dead", "rejected")
    assert env.command(one).sends == 2


def test_looking_only_leaves_a_doubtful_file_as_it_is(env: DispatchEnv, doubtful: int) -> None:
    """There is nothing to look at, and nothing is sent."""
    looked = env.dispatch(DispatchOptions(workers=1, patience=1, reconcile_only=True))

    assert (looked.looks, looked.sends) == (0, 0)
    assert env.command(doubtful).state is CommandState.IN_DOUBT
