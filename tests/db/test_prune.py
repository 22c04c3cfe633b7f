"""What may be pruned by its age, and what must stay, however old, on both databases."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text, update

from scalesync.db.database import Database
from scalesync.db.prune import PORTION, Pruner, give_free_room_back
from scalesync.db.queue.command_rows import attempts, log
from scalesync.db.schema.queue import command_attempts, commands
from scalesync.db.schema.reviews_and_versions import replaced_responses
from scalesync.db.schema.sync import runs, verifications, windows
from scalesync.db.sync import runs as run_ledger
from scalesync.errors import IncompleteError
from scalesync.models.commands import AttemptStep, CommandState
from scalesync.models.storage import PrunableKind, PrunedTable
from scalesync.models.sync import Window, WindowState
from tests.db.test_replaced_responses import A, B, C, diff, had, kept
from tests.db.test_runs import ended, started
from tests.support import commands as queue
from tests.support.databases import opened

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(days=90)
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
OLD, OLDER = NOW - timedelta(days=100), NOW - timedelta(days=200)
TASKS, EVERYTHING = [Window("tasks")], [Window("projects"), Window("batches"), Window("tasks")]


def pruned(database: Database, *kinds: PrunableKind, before: datetime = BEFORE) -> dict[str, int]:
    """Prune, and return the rows that went by table; as many were counted before."""
    pruner = Pruner(database, kinds or [*PrunableKind], before)
    counted = pruner.count()
    gone = pruner.delete(lambda: False, lambda _event: None)
    assert gone == counted
    assert not any(each.rows for each in pruner.count())
    return {each.table: each.rows for each in gone if each.rows}


def run(
    database: Database,
    at: datetime,
    planned: Sequence[Window] = TASKS,
    *,
    fails: bool = False,
    moves: bool = True,
) -> int:
    """Have a run begin and end at a time; return its id."""
    last = [WindowState.FAILED if fails else WindowState.CLOSED]
    states = [WindowState.CLOSED] * (len(planned) - 1) + last
    begun = started(database, list(planned), at, watermark=moves)
    return ended(database, begun, *states, at=at, error="it failed" if fails else None).id


def runs_left(database: Database) -> list[int]:
    """Return the runs that are left; each has its windows, and no other run has any."""
    with database.read() as conn:
        left = list(conn.scalars(select(runs.c.id).order_by(runs.c.id)))
        assert list(conn.scalars(select(windows.c.run_id).distinct().order_by(windows.c.run_id))) == left
    return left


def test_a_run_goes_once_a_later_one_read_its_streams(database: Database) -> None:
    """With its windows; a gap that it left is closed by then. The last complete one stays."""
    run(database, OLDER, EVERYTHING)
    run(database, OLDER, fails=True)
    last = run(database, OLD, EVERYTHING)
    recent = run(database, NOW, EVERYTHING)

    assert pruned(database) == {"windows": 4, "runs": 2}
    assert runs_left(database) == [last, recent]


def test_the_last_complete_run_of_each_stream_stays(database: Database) -> None:
    """However old it is, and although later runs read other streams."""
    of_all = run(database, OLDER, EVERYTHING)
    run(database, OLDER)
    of_tasks = run(database, OLD)

    assert pruned(database, before=NOW) == {"windows": 1, "runs": 1}
    assert runs_left(database) == [of_all, of_tasks]


def test_a_gap_that_nothing_closed_stays_known(database: Database) -> None:
    """An incomplete run stays until its stream is read completely, for which no backfill counts."""
    complete = run(database, OLDER)
    incomplete = run(database, OLD, fails=True)
    backfill = run(database, OLD, moves=False)

    assert pruned(database, before=NOW) == {}
    assert runs_left(database) == [complete, incomplete, backfill]


def test_runs_that_had_nothing_to_read_go_by_their_age(database: Database) -> None:
    """Except the last of all, which `status` shows."""
    ended = [OLDER, OLD, NOW, OLD]
    kept = {"kind": "backfill", "state": "complete", "started_at": OLDER}
    with database.write() as conn:
        conn.execute(insert(runs), [{**kept, "finished_at": at} for at in ended])

    assert pruned(database) == {"runs": 2}
    with database.read() as conn:
        left = conn.scalars(select(runs.c.finished_at).order_by(runs.c.id)).all()
    assert left == [NOW, OLD]


def test_the_open_run_and_the_first_ones_stay(database: Database) -> None:
    """What is open is read on, and nothing at all is known without a complete run."""
    failed = run(database, OLDER, fails=True)
    open_one = started(database, TASKS, OLDER).id

    assert pruned(database, before=NOW) == {}
    assert runs_left(database) == [failed, open_one]


def test_the_watermark_to_go_back_to_stays(database: Database) -> None:
    """If the API's clock was ahead for as long as runs are kept, the last run before that is still there."""
    run(database, OLDER)
    trusted = run(database, OLD)
    ahead = started(database, TASKS, NOW + timedelta(days=3_000))
    ended(database, ahead, WindowState.CLOSED, at=OLD)
    last = started(database, TASKS, NOW + timedelta(days=3_001))
    ended(database, last, WindowState.CLOSED, at=OLD)

    pruned(database)

    with database.read() as conn:
        assert run_ledger.trusted_watermarks(conn, NOW) == {"tasks": OLD}
    assert runs_left(database) == [trusted, ahead.id, last.id]


def test_the_steps_of_ended_commands_go_and_the_commands_stay(database: Database) -> None:
    """Those of dead, waiting and recent ones stay; what was delivered is still not queued again."""
    states = [
        (CommandState.DELIVERED, OLD),
        (CommandState.DISCARDED, OLD),
        (CommandState.DELIVERED, NOW),
        (CommandState.DEAD, OLD),
        (CommandState.QUEUED, None),
    ]
    ids = [queue.put(database, queue.task(f"u{number}")).command_id or 0 for number in range(len(states))]
    with database.write() as conn:
        log(conn, [(each, 1, AttemptStep(step, "x")) for each in ids for step in ("arm", "send")])
    for each, (state, at) in zip(ids, states, strict=True):
        queue.change(database, each, state, finished_at=at)

    assert pruned(database) == {"command_attempts": 4}

    with database.read() as conn:
        assert [len(attempts(conn, each)) for each in ids] == [0, 0, 2, 2, 2]
    again = [queue.put(database, queue.task(f"u{number}")) for number in (0, 2, 4)]
    assert [(one.command_id, one.new) for one in again] == [(ids[0], False), (ids[2], False), (ids[4], False)]


def test_replaced_responses_go_and_what_changed_stays(database: Database) -> None:
    """Two of three are gone, with their bytes; a diff with one of them says that it is not here."""
    had(database, A, B, C)
    with database.read() as conn:
        before = diff(database)
        held = conn.execute(select(func.sum(replaced_responses.c.bytes))).scalar_one()
    pruner = Pruner(database, [PrunableKind.RESPONSES], NOW + timedelta(days=9_000))
    assert pruner.count() == [PrunedTable(PrunableKind.RESPONSES, "replaced_responses", 2, held)]
    pruner.delete(lambda: False, lambda _event: None)

    assert [labels for labels, _, _ in kept(database)] == [["car", "bus"]]
    assert before.differences
    with pytest.raises(IncompleteError, match="was not kept"):
        diff(database)


def test_the_last_response_of_a_task_without_one_stays(database: Database) -> None:
    """The next one is compared with it; an earlier one goes."""
    had(database, A, B, None)
    assert pruned(database, before=NOW + timedelta(days=9_000)) == {"replaced_responses": 1}
    assert [labels for labels, _, _ in kept(database)] == [["van"]]


def test_the_last_verification_and_the_last_proof_stay(database: Database) -> None:
    """Which is what `status` says, and so does a doubt that nothing has removed; of six, three go."""
    common = {"scope": "[]", "deep": False, "drift": 0, "requests": 1, "as_of": OLD}
    found = [
        ("drift", True), ("proven", True), ("proven", True), ("proven", False), ("drift", True),
        ("unproven", True),
    ]  # fmt: skip
    with database.write() as conn:
        rows = [{**common, "state": state, "everything": all_of_it} for state, all_of_it in found]
        conn.execute(insert(verifications), rows)

    assert pruned(database, PrunableKind.ATTEMPTS) == {}
    assert pruned(database) == {"verifications": 3}

    with database.read() as conn:
        left = conn.scalars(select(verifications.c.state).order_by(verifications.c.id)).all()
    assert left == ["proven", "drift", "unproven"]


def test_a_stop_ends_between_two_portions(database: Database) -> None:
    """What went is gone and counted; the next call deletes the rest."""
    (command_id,) = [queue.put(database, queue.task("u")).command_id or 0]
    queue.change(database, command_id, CommandState.DELIVERED, finished_at=OLD)
    with database.write() as conn:
        log(conn, [(command_id, 1, AttemptStep("look", str(each))) for each in range(2 * PORTION + 7)])
    pruner, seen = Pruner(database, [PrunableKind.ATTEMPTS], BEFORE), list[int]()

    (first,) = pruner.delete(lambda: len(seen) == 1, lambda event: seen.append(event.rows))
    assert (first.rows, seen) == (PORTION, [PORTION])
    (rest,) = pruner.delete(lambda: False, lambda event: seen.append(event.total))
    assert (rest.rows, seen[1:]) == (PORTION + 7, [PORTION + 7] * 2)


def test_a_response_that_is_replaced_again_meanwhile_stays(postgres_url: str) -> None:
    """A sync that renews it after it was chosen wins: it is not old any more."""
    with opened(postgres_url) as database:
        had(database, A, B)
        pruner = Pruner(database, [PrunableKind.RESPONSES], NOW + timedelta(days=8_000))
        with ThreadPoolExecutor(1) as threads:
            with database.write() as conn:
                conn.execute(update(replaced_responses).values(replaced_at=NOW + timedelta(days=9_000)))
                deleting = threads.submit(pruner.delete, lambda: False, lambda _event: None)
                while not conn.execute(WAITING).scalar_one():
                    time.sleep(0.01)
            assert deleting.result()[0].rows == 0
        assert len(kept(database)) == 2


def test_vacuum_gives_the_room_back(sqlite_url: str) -> None:
    """While another connection has the file open; a stop leaves it as it was."""
    with opened(sqlite_url) as database, opened(sqlite_url) as other:
        (command_id,) = [queue.put(database, queue.task("u")).command_id or 0]
        with database.write() as conn:
            log(conn, [(command_id, 1, AttemptStep("look", "x" * 1_000)) for _ in range(5_000)])
        with database.write() as conn:
            conn.execute(command_attempts.delete())

        assert give_free_room_back(database, lambda: True) is None
        assert 5e6 < (give_free_room_back(database, lambda: False) or 0) < 8e6
        assert give_free_room_back(database, lambda: False) == 0
        with other.write() as conn:
            assert conn.execute(select(func.count()).select_from(commands)).scalar_one() == 1
        assert queue.count(other) == 1
