"""`scalesync verify` as people and cron see it."""

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from scalesync.cli.verify import raise_if_unproven
from scalesync.errors import IncompleteError
from scalesync.sandbox import SandboxServer
from scalesync.sync.verify.models import Drift, DriftKind, Verification
from tests.support.cli_process import Scalesync, check_interrupted, check_refusal, execute

Start = Callable[..., SandboxServer]


def test_a_proof_is_told_and_remembered(mirror: Scalesync) -> None:
    """What it will cost, that nothing differs, and in `status` when that was proven."""
    before = mirror("status")
    done = mirror("verify")
    after = mirror("status")

    assert done.code == 0, done.err
    assert "requests if nothing differs" in done.err
    assert done.out.startswith("Nothing differs as of ")
    assert "not proven equal to the API yet" in before.out
    assert ", by counts: everything\n" in after.out


def test_what_differs_is_named_and_repaired(mirror: Scalesync) -> None:
    """Exit 1, a line for each, the same as JSON; --repair ends with 0 and `status` has both to tell."""
    ids = [str(task_id) for (task_id,) in execute(mirror.mirror, "SELECT task_id FROM tasks LIMIT 2")]
    execute(mirror.mirror, f"DELETE FROM tasks WHERE task_id = '{ids[0]}'")
    execute(mirror.mirror, f"UPDATE tasks SET status = 'lost' WHERE task_id = '{ids[1]}'")

    done = mirror("verify", "tasks")
    told = mirror("verify", "--json")
    status = mirror("status")
    repaired = mirror("verify", "--repair", "--json")

    check_refusal(done, 1, "2 objects differ", "verify --repair")
    assert all(one in done.out for one in (*ids, "missing here", "different", "lost"))
    seen = msgspec.json.decode(told.out)
    assert (told.code, seen["proven"], len(seen["drift"])) == (1, False, 2)
    assert {one["key"]: one["kind"] for one in seen["drift"]} == dict(
        zip(ids, ("missing_here", "different"), strict=True)
    )
    assert "2 objects differed: projects; batches; tasks" in status.out
    healed = msgspec.json.decode(repaired.out)
    assert (repaired.code, healed["proven"], len(healed["found"])) == (0, True, 2), repaired.err


def test_a_sync_can_prove_what_it_read(mirror: Scalesync) -> None:
    """`sync --verify` adds its verification to the summary, and `status` says over what."""
    done = mirror("sync", "--verify", "--json")
    text = mirror("sync", "projects", "--verify")
    status = mirror("status")

    summary = msgspec.json.decode(done.out)
    assert (done.code, summary["verification"]["proven"]) == (0, True), done.err
    assert "Nothing differs as of" in text.out
    assert "by counts: projects\n" in status.out


def test_a_mirror_that_was_never_complete_proves_nothing(
    empty_mirror: Scalesync, shared_sandbox: SandboxServer
) -> None:
    """It says which command comes first; without an API it ends with 4, as every command does."""
    mirror = empty_mirror.having(SCALESYNC_API_URL=shared_sandbox.url)
    check_refusal(mirror("verify"), 1, "were never complete here", "scalesync sync")
    nowhere = empty_mirror.having(SCALESYNC_API_URL="http://127.0.0.1:1/v1", SCALESYNC_PATIENCE="1s")
    check_refusal(nowhere("verify", "--project", "x"), 4, "127.0.0.1:1")


def test_a_verification_can_be_stopped(start_sandbox: Start, mirror: Scalesync) -> None:
    """Ctrl-C ends it with 130; nothing is proven, and nothing is remembered."""
    slow = start_sandbox(tasks=1000, faults=("latency:400ms",))
    execute(mirror.mirror, f"UPDATE mirror SET api_url = '{slow.url}'")
    running = Scalesync(mirror.directory, mirror.variables).having(SCALESYNC_API_URL=slow.url)
    with running.started("verify") as process:
        while not slow.backend.requests["GET /projects"]:
            assert process.poll() is None
            time.sleep(0.01)
        done = check_interrupted(process, signal.SIGINT)

    assert done.code == 130, done.err
    assert "Stopped before anything was proven." in done.err
    assert execute(mirror.mirror, "SELECT count(*) FROM verifications") == [(0,)]


def test_from_python(mirror: Scalesync) -> None:
    """`Mirror.verify` returns what differs; with `repair` what still does."""
    from scalesync import Mirror

    (one,) = execute(mirror.mirror, "SELECT min(task_id) FROM tasks")
    execute(mirror.mirror, f"DELETE FROM tasks WHERE task_id = '{one[0]}'")
    ours = Mirror(
        mirror.mirror,
        api_key=mirror.variables["SCALE_API_KEY"],
        api_url=mirror.variables["SCALESYNC_API_URL"],
    )

    assert [each.key for each in ours.verify("tasks").drift] == [one[0]]
    assert ours.verify("tasks", repair=True).proven
    assert ours.status().verified is not None


def test_what_is_only_behind_is_told_apart(start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """Exit 0 and a sentence; --strict ends with 1; `status` names each stream once."""
    server = start_sandbox(tasks=200)
    mirror = empty_mirror.having(SCALESYNC_API_URL=server.url)
    assert mirror("sync").code == 0
    for (task_id,) in execute(mirror.mirror, "SELECT task_id FROM tasks WHERE status = 'pending' LIMIT 2"):
        server.backend.complete(str(task_id))

    done, told = mirror("verify"), mirror("verify", "--json")
    strict = mirror("verify", "--strict")
    status = mirror("status")
    execute(
        mirror.mirror, "UPDATE tasks SET status = 'lost' WHERE task_id = (SELECT min(task_id) FROM tasks)"
    )
    wrong = mirror("verify")
    after = mirror("status")

    assert (done.code, done.out.splitlines()[0][:21]) == (0, "Nothing differs as of"), done.err
    assert "2 objects are behind: made or changed after the last sync" in done.out
    seen = msgspec.json.decode(told.out)
    assert (told.code, seen["proven"], seen["behind"], len(seen["behind_objects"])) == (0, True, 2, 2)
    check_refusal(strict, 1, "2 objects are behind", "scalesync sync")
    assert "everything but 2 objects that were behind, having changed since the last sync" in status.out
    assert wrong.code == 1
    assert "1 object differed: projects; batches; tasks\n" in after.out


def test_what_could_not_be_compared_is_said_beside_what_differs() -> None:
    """Whoever reads of one difference would take it for the only one."""
    found = Verification(datetime(2026, 1, 1, tzinfo=UTC), (), deep=False)
    found.drift.append(Drift("tasks", "t", DriftKind.DIFFERENT, "lost", "pending", ("status",), None, None))
    found.unproven.append("The account changes too fast.")

    with pytest.raises(IncompleteError, match=r"1 object differs .* The account changes too fast\."):
        raise_if_unproven(found)


def test_status_says_what_could_not_be_compared_beside_what_differed(
    start_sandbox: Start, empty_mirror: Scalesync
) -> None:
    """As it is in the table of verifications."""
    mirror = empty_mirror.having(SCALESYNC_API_URL=start_sandbox(tasks=50).url)
    mirror("sync")
    execute(
        mirror.mirror, "UPDATE tasks SET status = 'lost' WHERE task_id = (SELECT min(task_id) FROM tasks)"
    )
    mirror("verify")
    execute(mirror.mirror, "UPDATE verifications SET unproven = 'the account changes too fast'")

    said = mirror("status").out

    assert "1 object differed: projects; batches; tasks; nor could everything be compared: the" in said
