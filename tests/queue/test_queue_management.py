"""A person's hand: what can be withdrawn, what can be tried again, and what hangs on what."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from scalesync.db.database import Database
from scalesync.db.queue import management
from scalesync.db.queue.discard_cascade import DiscardedCommand, cascade
from scalesync.db.schema.queue import command_attempts, commands
from scalesync.errors import QueueError
from scalesync.models.commands import CommandState, Outcome
from scalesync.models.queue_state import DiscardAnswer, DiscardResult
from scalesync.queue import new_commands
from tests.support.commands import NOON, change, found, mirror, put, put_all, states, steps, task

QUEUED, SENDING, IN_DOUBT = CommandState.QUEUED, CommandState.SENDING, CommandState.IN_DOUBT
DELIVERED, DEAD, DISCARDED = CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED


def discard(database: Database, command_id: int) -> DiscardResult:
    """Discard in a transaction of its own."""
    with database.write() as conn:
        return management.discard(conn, command_id)


def retry(database: Database, command_id: int) -> None:
    """Retry in a transaction of its own."""
    with database.write() as conn:
        management.retry(conn, command_id)


def distrust(database: Database) -> int:
    """Distrust in a transaction of its own."""
    with database.write() as conn:
        return management.distrust(conn)


def gone(database: Database, command_id: int) -> DiscardedCommand:
    """Return what a discard of this command leaves to be followed."""
    command = found(database, command_id)
    return DiscardedCommand(command.id, command.kind, command.resource)


def test_there_must_be_such_a_command(database: Database) -> None:
    """A number that no command has is refused."""
    for hand in (discard, retry):
        with pytest.raises(QueueError, match="There is no command 7"):
            hand(database, 7)


def test_what_has_no_effect_is_discarded_at_once(database: Database) -> None:
    """A command in nobody's hands, of which no request can have an effect, is withdrawn for good."""
    put_all(database, [task("a1"), task("a2")])
    for number, state in enumerate((QUEUED, DEAD), 1):
        change(database, number, state, hold_reason="held", fence=4)
        assert discard(database, number) == DiscardResult(number, DiscardAnswer.DISCARDED)
        command = found(database, number)
        assert (command.state, command.outcome, command.fence) == (DISCARDED, Outcome.WITHDRAWN, 5)
        assert command.finished_at is not None
        assert command.hold_reason is None
        assert discard(database, number) == DiscardResult(number, DiscardAnswer.DISCARDED)
        assert steps(database, number) == [("discard", "withdrawn", 5)]
        assert put(database, task(f"a{number}", instruction="else")).new


def test_what_may_have_an_effect_is_asked_to_be_dropped(database: Database) -> None:
    """It keeps its state and fence, so that who has it can settle it; nothing holds it any longer."""
    cases = [(SENDING, False), (SENDING, True), (IN_DOUBT, True), (QUEUED, True)]
    put_all(database, (task(f"a{number}") for number in range(len(cases))))
    for number, (state, ambiguous) in enumerate(cases, 1):
        change(database, number, state, ambiguous=ambiguous, fence=4, hold_reason="held")
        for _ in range(2):
            assert discard(database, number) == DiscardResult(number, DiscardAnswer.REQUESTED)
        command = found(database, number)
        assert (command.state, command.discard_requested, command.fence) == (state, True, 4)
        assert command.hold_reason is None
        assert steps(database, number) == [("discard", "requested", 4)]


def test_what_is_dead_with_an_unknown_effect_is_looked_up_before_it_is_dropped(database: Database) -> None:
    """It goes back in doubt, to be dropped when the API shows that it is not there."""
    put(database, task("a"))
    change(database, 1, DEAD, ambiguous=True, outcome=Outcome.REJECTED, fence=4)
    assert discard(database, 1).answer is DiscardAnswer.REQUESTED
    command = found(database, 1)
    assert (command.state, command.discard_requested, command.ambiguous) == (IN_DOUBT, True, True)
    assert (command.fence, command.finished_at, command.outcome) == (5, None, None)


@pytest.mark.parametrize(
    ("result", "instead"),
    [
        ('{"task_id": "5c84"}', "scalesync task cancel 5c84"),
        (None, "scalesync task cancel --unique-id 'a b'"),
    ],
)
def test_what_is_delivered_is_too_late_and_the_way_out_is_named(
    database: Database, result: str | None, instead: str
) -> None:
    """For a task it is its cancel, fit to be pasted into a shell; nothing is changed."""
    put(database, task("a b"))
    change(database, 1, DELIVERED, result=result)
    assert discard(database, 1) == DiscardResult(1, DiscardAnswer.TOO_LATE, instead=instead)
    assert steps(database, 1) == []


def test_what_cannot_be_undone_has_no_way_out(database: Database) -> None:
    """There is no call that takes back a finalize."""
    put(database, new_commands.finalize_batch("b"))
    change(database, 1, DELIVERED)
    assert discard(database, 1) == DiscardResult(1, DiscardAnswer.TOO_LATE, instead=None)


def fill(database: Database) -> None:
    """Queue a project (1), a batch in it (2), its two tasks (3, 4), their finalize (5), and more."""
    more = [
        new_commands.create_project("p", "annotation", {}),
        new_commands.create_batch("b", "p"),
        task("a", "b"),
        task("c", "b"),
        new_commands.finalize_batch("b"),
        new_commands.update_project("p", {"x": 1}),
        task("in the project", project="p"),
        task("elsewhere", "other"),
    ]
    assert len(put_all(database, more)) == 8


def test_a_discarded_batch_takes_everything_with_it_that_was_to_be_in_it(database: Database) -> None:
    """Its tasks and its finalize can never run, so they are discarded; the batch is open again."""
    fill(database)
    assert discard(database, 2) == DiscardResult(2, DiscardAnswer.DISCARDED, also=(3, 4, 5))
    assert [number for number, state in states(database).items() if state == DISCARDED] == [2, 3, 4, 5]
    for number in (3, 4, 5):
        command = found(database, number)
        assert (command.outcome, command.fence) == (Outcome.DEPENDENCY_FAILED, 1)
        assert steps(database, number) == [("discard", "dependency_failed", 1)]
    assert put(database, task("new", "b")).new


def test_a_discarded_project_takes_its_batches_and_their_tasks_with_it(database: Database) -> None:
    """What hangs on what hangs on it goes too, and nothing else."""
    fill(database)
    assert discard(database, 1).also == (2, 3, 4, 5, 6, 7)
    assert states(database)[8] == QUEUED


def test_a_discarded_create_takes_its_cancel_with_it_and_not_the_finalize(database: Database) -> None:
    """Discarding a dead create is how people let the finalize of its batch go on."""
    fill(database)
    change(database, 3, SENDING)
    put(database, new_commands.cancel_task(unique_id="a"))
    change(database, 3, DEAD, outcome=Outcome.REJECTED)
    assert discard(database, 3).also == (9,)
    assert states(database)[5] == QUEUED


def test_what_may_have_an_effect_or_is_dead_for_good_reason_is_told_apart(database: Database) -> None:
    """Of what hangs on a discarded batch, dead commands go with it, and ambiguous ones stay."""
    fill(database)
    change(database, 3, DEAD, outcome=Outcome.REJECTED)
    change(database, 4, QUEUED, ambiguous=True)
    assert discard(database, 2).also == (3, 5)
    assert states(database)[4] == QUEUED


def test_what_another_command_makes_is_not_missed(database: Database) -> None:
    """Clearing away a refused create leaves the tasks alone when the batch was created by a second one."""
    fill(database)
    change(database, 2, DEAD, outcome=Outcome.REJECTED)
    put(database, new_commands.create_batch("other", "p"))
    with database.write() as conn:
        conn.execute(
            update(commands).where(commands.c.id == 9).values(resource="batch:b", idempotency_key="batch:b")
        )
    for state in (QUEUED, DELIVERED):
        change(database, 9, state)
        change(database, 2, DEAD)
        assert discard(database, 2).also == ()


def test_what_the_mirror_holds_is_not_missed(database: Database) -> None:
    """Tasks of a batch that exists at Scale can run, whoever created it."""
    fill(database)
    change(database, 2, DEAD, outcome=Outcome.CONFLICT)
    mirror(database, "batches", name="b", project="p")
    assert discard(database, 2).also == ()


def test_what_came_before_a_discarded_create_does_not_hang_on_it(database: Database) -> None:
    """A task queued for a batch that was there is not concerned by a later create of that batch."""
    put_all(database, [task("a", "b"), new_commands.create_batch("b", "p"), task("c", "b")])
    assert discard(database, 2).also == (3,)
    assert states(database)[1] == QUEUED


def test_a_discarded_finalize_opens_its_batch_again(database: Database) -> None:
    """Tasks can be added to it, and the finalize can be queued anew."""
    put_all(database, [task("a", "b"), new_commands.finalize_batch("b")])
    discard(database, 2)
    assert put(database, task("c", "b")).new
    assert put(database, new_commands.finalize_batch("b")).new


def test_a_discard_that_is_honoured_later_has_the_same_consequences(database: Database) -> None:
    """Whoever settles a requested discard has them drawn: dependents go, the batch is open."""
    fill(database)
    change(database, 2, DISCARDED, outcome=Outcome.WITHDRAWN)
    with database.write() as conn:
        assert cascade(conn, [gone(database, 2)]) == (3, 4, 5)
    put(database, new_commands.finalize_batch("other"))
    change(database, 9, DISCARDED, outcome=Outcome.WITHDRAWN)
    with database.write() as conn:
        assert cascade(conn, [gone(database, 9)]) == ()
    assert put(database, task("new", "other")).new


def test_what_is_dead_is_queued_again_as_if_new(database: Database) -> None:
    """Its failures are forgotten and its way is free."""
    put(database, task("a"))
    change(
        database,
        1,
        DEAD,
        outcome=Outcome.EXHAUSTED,
        failures=25,
        error="no",
        error_code=500,
        fence=4,
        sends=25,
    )
    retry(database, 1)
    command = found(database, 1)
    assert (command.state, command.outcome, command.failures) == (QUEUED, None, 0)
    assert (command.error, command.error_code, command.finished_at) == (None, None, None)
    assert (command.fence, command.sends) == (5, 25)
    assert steps(database, 1) == [("retry", "queued", 5)]


def test_what_is_dead_with_an_unknown_effect_is_looked_up_first(database: Database) -> None:
    """It goes back in doubt and stays ambiguous."""
    put(database, task("a"))
    change(database, 1, DEAD, ambiguous=True)
    retry(database, 1)
    command = found(database, 1)
    assert (command.state, command.ambiguous) == (IN_DOUBT, True)
    assert steps(database, 1) == [("retry", "in_doubt", 1)]


def test_what_is_held_goes_on(database: Database) -> None:
    """It keeps its state, and nothing holds it."""
    put_all(database, [task("a"), task("b")])
    for number, state in enumerate((QUEUED, IN_DOUBT), 1):
        change(database, number, state, hold_reason="looks odd", failures=3, not_before=func.now())
        retry(database, number)
        command = found(database, number)
        assert (command.state, command.hold_reason, command.not_before) == (state, None, None)
        assert (command.failures, command.fence) == (3, 1)
        assert steps(database, number) == [("retry", "released", 1)]


def test_only_what_is_dead_or_held_is_retried(database: Database) -> None:
    """Anything else is refused, and stays as it is."""
    put(database, task("a"))
    words = ("not sent yet", "being sent", "in doubt", "delivered", "discarded")
    for state, word in zip((QUEUED, SENDING, IN_DOUBT, DELIVERED, DISCARDED), words, strict=True):
        change(database, 1, state)
        with pytest.raises(QueueError) as refused:
            retry(database, 1)
        assert refused.value.message == (
            f"Command 1 (create_task a) is {word}: only what is dead or held can be retried."
        )
    assert found(database, 1).fence == 0


def test_what_was_replaced_is_not_retried(database: Database) -> None:
    """A dead create whose name a newer command has stays dead."""
    put(database, task("a"))
    change(database, 1, DEAD)
    put(database, task("a", instruction="right"))
    with pytest.raises(QueueError, match=r"has been replaced: command 2 \(create_task a\) is not sent yet"):
        retry(database, 1)


def test_an_update_that_a_newer_one_has_overtaken_is_not_retried(database: Database) -> None:
    """Sending it would put old parameters over the new ones."""
    put_all(database, [new_commands.update_project("p", {"x": number}) for number in (1, 2)])
    change(database, 1, DEAD)
    for state in (DELIVERED, SENDING, IN_DOUBT):
        change(database, 2, state)
        with pytest.raises(
            QueueError, match=r"has been overtaken: command 2 \(update_project p\)"
        ) as refused:
            retry(database, 1)
        assert "anew" in refused.value.advice


def test_an_update_that_no_newer_one_has_overtaken_is_retried(database: Database) -> None:
    """What is newer and has no effect comes after it."""
    put_all(database, [new_commands.update_project("p", {"x": number}) for number in (1, 2)])
    for state in (QUEUED, DEAD, DISCARDED):
        change(database, 1, DEAD)
        change(database, 2, state)
        retry(database, 1)
        assert states(database)[1] == QUEUED


def test_one_at_a_time_is_in_doubt(database: Database) -> None:
    """What must be looked up waits until its resource is free, and is refused until then."""
    put_all(database, [new_commands.update_project("p", {"x": number}) for number in (1, 2)])
    change(database, 1, SENDING)
    change(database, 2, DEAD, ambiguous=True)
    for hand in (retry, discard):
        with pytest.raises(QueueError, match=r"must wait: command 1 \(update_project p\) is being sent"):
            hand(database, 2)
    change(database, 1, DELIVERED)
    retry(database, 2)


def test_a_finalize_whose_batch_was_opened_is_not_retried(database: Database) -> None:
    """Creates may have come after it, which it would overtake."""
    put(database, new_commands.finalize_batch("b"))
    change(database, 1, DEAD)
    put(database, new_commands.finalize_batch("b"))
    discard(database, 2)
    put(database, task("late", "b"))
    with pytest.raises(QueueError, match="its batch was opened again"):
        retry(database, 1)


def test_a_finalize_that_keeps_its_batch_closed_is_retried(database: Database) -> None:
    """A dead finalize keeps its seal, so nothing came after it."""
    put(database, new_commands.finalize_batch("b"))
    change(database, 1, DEAD)
    retry(database, 1)
    assert states(database) == {1: QUEUED}


def test_everything_dead_is_retried_that_can_be(database: Database) -> None:
    """Of two commands with one name the newer goes on; what was overtaken stays dead."""
    put_all(database, [task("a"), task("b"), new_commands.update_project("p", {"x": 1})])
    change(database, 1, DEAD)
    change(database, 3, DEAD)
    put_all(database, [task("a", instruction="right"), new_commands.update_project("p", {"x": 2})])
    change(database, 4, DEAD)
    change(database, 5, DELIVERED)
    with database.write() as conn:
        assert management.retry_dead(conn) == [4]
    assert states(database) == {1: DEAD, 2: QUEUED, 3: DEAD, 4: QUEUED, 5: DELIVERED}


CASES: list[tuple[CommandState, dict[str, Any], CommandState, bool]] = [
    (QUEUED, {}, IN_DOUBT, False),
    (SENDING, {"fence": 1, "owner": "x"}, IN_DOUBT, False),
    (SENDING, {"fence": 1, "owner": "x", "sent_at": NOON}, IN_DOUBT, True),
    (IN_DOUBT, {"ambiguous": True, "sent_at": NOON}, IN_DOUBT, True),
    (DEAD, {"sent_at": NOON}, DEAD, False),
]
"""State and columns of a command, its state afterwards, and whether a request of it is known to be late."""


def test_nothing_is_trusted_after_a_backup_was_restored(database: Database) -> None:
    """What is not final is ambiguous, and whoever had it lost it; only what is open will be looked up.

    What waits for a request that may be late counts from now, and so does an update.
    """
    put_all(database, (task(f"t{number}") for number in range(len(CASES))))
    for number, (state, values, _, _) in enumerate(CASES, 1):
        change(database, number, state, **values)
    update = put(database, new_commands.update_project("p", {"x": 1})).command_id or 0
    before = [found(database, number) for number in range(1, len(CASES) + 1)]
    assert distrust(database) == len(CASES)
    assert (found(database, update).state, found(database, update).sent_at is None) == (IN_DOUBT, False)
    for (_, _, then, late), old in zip(CASES, before, strict=True):
        command = found(database, old.id)
        assert (command.state, command.ambiguous, command.fence) == (then, True, old.fence + 1)
        assert (command.owner, command.leased_until) == (None, None)
        assert (command.sent_at is not None and command.sent_at >= old.created_at) == late
        assert steps(database, old.id) == [("distrust", then, old.fence + 1)]


def test_what_is_final_is_trusted(database: Database) -> None:
    """Facts that were seen stay facts."""
    put_all(database, [task("a"), task("b")])
    change(database, 1, DELIVERED)
    change(database, 2, DISCARDED)
    assert distrust(database) == 0
    assert not found(database, 1).ambiguous
    with database.read() as conn:
        assert conn.execute(select(func.count()).select_from(command_attempts)).scalar_one() == 0


def test_one_command_of_each_resource_is_looked_up_at_a_time(database: Database) -> None:
    """The first of a resource goes in doubt, those behind it when it is their turn."""
    put_all(database, [new_commands.update_project("p", {"x": number}) for number in range(4)])
    put_all(database, [new_commands.create_batch("b", "q"), new_commands.finalize_batch("b")])
    change(database, 1, DELIVERED)
    change(database, 3, SENDING)
    change(database, 5, DEAD)
    assert distrust(database) == 4
    assert states(database) == {1: DELIVERED, 2: QUEUED, 3: IN_DOUBT, 4: QUEUED, 5: DEAD, 6: QUEUED}
    assert all(found(database, number).ambiguous for number in range(2, 7))
