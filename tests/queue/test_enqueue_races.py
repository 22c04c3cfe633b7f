"""Several transactions at once: seals, keys and claims come one after the other, and nobody fails for it."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from scalesync.db.database import Database
from scalesync.db.queue import enqueue as queued
from scalesync.db.queue.claim_arm_settle import claim
from scalesync.errors import BatchSealedError, ConflictError
from scalesync.models.commands import Enqueued
from scalesync.queue import new_commands
from tests.support.commands import count, found, put, put_all, states, steps, task
from tests.support.databases import opened


class RolledBackError(Exception):
    """The first transaction's own."""


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    """Yield a thread that does one thing after the other."""
    with ThreadPoolExecutor(1) as thread:
        yield thread


def waits(future: Future[Any]) -> bool:
    """Return whether something is still not done after a while."""
    try:
        future.result(timeout=0.3)
    except NotYetError:
        return True
    except Exception:  # noqa: BLE001 - it is done, however it ended
        return False
    return False


@contextmanager
def rolled_back(database: Database) -> Iterator[Connection]:
    """Yield a transaction that comes to nothing."""
    try:
        with database.write() as conn:
            yield conn
            raise RolledBackError
    except RolledBackError:
        pass


KNOWN = pytest.mark.parametrize("known", [False, True], ids=["new batch", "known batch"])
"""Whether anything was queued for the batch before."""


@KNOWN
def test_a_finalize_waits_for_a_create_that_is_not_committed(
    database: Database, other: ThreadPoolExecutor, known: bool
) -> None:
    """It gets a larger number than every create of its batch, also one that nobody could see yet."""
    if known:
        put(database, task("before", "b"))
    with database.write() as conn:
        create = queued.enqueue(conn, task("a", "b"))
        finalize = other.submit(put, database, new_commands.finalize_batch("b"))
        assert waits(finalize)
        another = queued.enqueue(conn, task("c", "b"))
    assert (finalize.result(10).command_id or 0) > (another.command_id or 0) > (create.command_id or 0)
    with pytest.raises(BatchSealedError):
        put(database, task("late", "b"))


@KNOWN
def test_a_create_waits_for_a_finalize_that_is_not_committed(
    database: Database, other: ThreadPoolExecutor, known: bool
) -> None:
    """It is refused once the finalize is there."""
    if known:
        put(database, task("before", "b"))
    with database.write() as conn:
        queued.enqueue(conn, new_commands.finalize_batch("b"))
        create = other.submit(put_all, database, [task("a", "b"), task("c", "d")])
        assert waits(create)
    refused, other_batch = create.result(10)
    assert isinstance(refused, BatchSealedError)
    assert isinstance(other_batch, Enqueued)


def test_a_finalize_that_comes_to_nothing_seals_nothing(
    database: Database, other: ThreadPoolExecutor
) -> None:
    """A create that waited for it is queued when it is rolled back."""
    with rolled_back(database) as conn:
        queued.enqueue(conn, new_commands.finalize_batch("b"))
        create = other.submit(put, database, task("a", "b"))
        assert waits(create)
    assert create.result(10).new


def test_creates_for_one_batch_do_not_wait_for_each_other(postgres_url: str) -> None:
    """On Postgres any number of transactions add to a batch at once."""
    with opened(postgres_url) as database, ThreadPoolExecutor(1) as thread:
        put(database, task("before", "b"))
        with database.write() as conn:
            queued.enqueue(conn, task("a", "b"))
            assert thread.submit(put, database, task("c", "b")).result(10).new


@pytest.mark.parametrize("instruction", [None, "else"], ids=["same", "other content"])
def test_one_key_at_the_same_time_is_one_command(
    database: Database, other: ThreadPoolExecutor, instruction: str | None
) -> None:
    """Whoever comes second waits, and is told of the first one's command; the rest of its input is queued."""
    with database.write() as conn:
        first = queued.enqueue(conn, task("a"))
        given = [task("x"), task("a", instruction=instruction), task("y")]
        second = other.submit(put_all, database, given)
        assert waits(second)
    x, a, y = second.result(10)
    assert isinstance(x, Enqueued)
    assert isinstance(y, Enqueued)
    assert (x.new, y.new) == (True, True)
    if instruction is None:
        assert a == Enqueued(first.command_id, new=False)
    else:
        assert isinstance(a, ConflictError)
    assert count(database) == 3


def test_a_key_is_free_when_its_first_command_comes_to_nothing(
    database: Database, other: ThreadPoolExecutor
) -> None:
    """Whoever waited for a transaction that is rolled back queues the command itself."""
    with rolled_back(database) as conn:
        queued.enqueue(conn, task("a"))
        second = other.submit(put, database, task("a", instruction="else"))
        assert waits(second)
    assert second.result(10).new


def test_two_large_inputs_in_opposite_order_do_not_wait_for_each_other(
    database: Database, other: ThreadPoolExecutor
) -> None:
    """The same tasks from both ends: each is queued once, and nobody fails."""
    given = [task(f"t{number}") for number in range(1_500)]
    with database.write() as conn:
        first = queued.enqueue_many(conn, given)
        answers = [next(first)]
        second = other.submit(put_all, database, given[::-1])
        assert waits(second)
        answers += first
    answers += second.result(30)
    new = [one for one in answers if isinstance(one, Enqueued) and one.new]
    assert len(new) == count(database) == 1_500


def take(conn: Connection) -> list[int]:
    """Claim whatever can be claimed."""
    return [one.command.id for one in claim(conn, owner="me", lease=3_600, limit=10)]


def test_a_cancel_that_loses_against_a_claim_waits_its_turn(
    database: Database, other: ThreadPoolExecutor
) -> None:
    """A create that was claimed first goes on, and the cancel comes after it."""
    put(database, task("a"))
    with database.write() as conn:
        assert take(conn) == [1]
        cancel = other.submit(put, database, new_commands.cancel_task(unique_id="a"))
        assert waits(cancel)
    assert cancel.result(10) == Enqueued(2, new=True)
    assert states(database) == {1: "sending", 2: "queued"}


def test_a_claim_that_loses_against_a_cancel_gets_nothing(
    database: Database, other: ThreadPoolExecutor
) -> None:
    """A create that is being withdrawn cannot be claimed any more."""
    put(database, task("a"))

    def claimed() -> list[int]:
        with database.write() as conn:
            return take(conn)

    with database.write() as conn:
        queued.enqueue(conn, new_commands.cancel_task(unique_id="a"))
        later = other.submit(claimed)
        waits(later)
    assert later.result(10) == []
    assert states(database) == {1: "discarded", 2: "discarded"}
    assert found(database, 1).fence == 1
    assert steps(database, 1) == [("discard", "withdrawn", 1)]


def test_of_a_cancel_and_a_claim_exactly_one_wins(database: Database) -> None:
    """However they meet: the create is either claimed, with its cancel behind it, or gone with its cancel."""
    put_all(database, [task(f"t{number}") for number in range(25)])
    start = threading.Barrier(2)

    def claim_all() -> set[int]:
        start.wait()
        claimed: set[int] = set()
        for _ in range(25):
            with database.write() as conn:
                claimed.update(one.command.id for one in claim(conn, owner="me", lease=3_600, limit=1))
        return claimed

    def cancel_all() -> dict[int, int | None]:
        start.wait()
        cancels = [
            put(database, new_commands.cancel_task(unique_id=f"t{number}")) for number in range(24, -1, -1)
        ]
        return {25 - number: cancel.withdrew for number, cancel in enumerate(cancels)}

    with ThreadPoolExecutor(2) as threads:
        claims, cancels = threads.submit(claim_all), threads.submit(cancel_all)
        claimed, withdrew = claims.result(60), cancels.result(60)
    for number in range(1, 26):
        assert (number in claimed) is (withdrew[number] is None)
        assert states(database)[number] == ("sending" if number in claimed else "discarded")
