"""Two copies of one mirror, both of which dispatch: what is protected by the API, and what is not."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from scalesync.db.backup import back_up
from scalesync.db.queue import management
from scalesync.queue import new_commands
from scalesync.sandbox import SandboxServer
from tests.support.databases import opened
from tests.support.dispatch_env import DispatchEnv, dispatch_env

TASKS = [f"u{number}" for number in range(8)]
BODY = {"project": "p", "batch": "b", "attachment": "https://example.com/1.jpg"}


def put(env: DispatchEnv) -> list[int]:
    """Queue a project, an update of it, a batch with its tasks, and its finalize."""
    return env.put(
        new_commands.create_project("p", "imageannotation", {"instruction": "one"}, studio=True),
        new_commands.update_project("p", {"instruction": "two"}),
        new_commands.create_batch("b", "p"),
        *(new_commands.create_task("imageannotation", {**BODY, "unique_id": name}) for name in TASKS),
        new_commands.finalize_batch("b"),
    )


def copied(url: str, directory: Path) -> str:
    """Return the URL of a copy of a mirror."""
    with opened(url) as database:
        back_up(database, directory / "copy.db", lambda *_: None)
    return f"sqlite:///{directory / 'copy.db'}"


@pytest.mark.parametrize("how", ["together", "in turn", "distrusted"])
def test_two_copies_dispatch(how: str, sandbox: SandboxServer, sqlite_url: str, tmp_path: Path) -> None:
    """Nothing but an update happens twice; what was distrusted before finds all of it delivered."""
    with ExitStack() as stack:
        env = stack.enter_context(dispatch_env(stack.enter_context(opened(sqlite_url)), sandbox))
        ids = put(env)
        database = stack.enter_context(opened(copied(sqlite_url, tmp_path)))
        other = stack.enter_context(dispatch_env(database, sandbox))
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(env.dispatch)
            if how != "together":
                first.result()
            if how == "distrusted":
                with database.write() as conn:
                    assert management.distrust(conn) == len(ids)
            pool.submit(other.dispatch).result()
            first.result()
        if how == "distrusted":
            assert other.states(ids) == ["delivered"] * len(ids), [other.log(one) for one in ids]

    effects = sandbox.backend.applied
    assert [effects.count("unique_id", name, "created") for name in TASKS] == [1] * len(TASKS)
    assert [effects.count("batch", "b", effect) for effect in ("created", "finalized")] == [1, 1]
    assert effects.count("project", "p", "created") == 1
    assert effects.count("project", "p", "versioned") in ((1, 2) if how == "together" else (1,))
