"""A create and its cancel, both unsent, undo each other; nothing else is undone by them."""

from typing import Any

from sqlalchemy import update

from scalesync.db.database import Database
from scalesync.db.schema.queue import commands
from scalesync.models.commands import CommandState, Enqueued, Outcome
from scalesync.queue import new_commands
from tests.support.commands import change, found, mirror, put, put_all, states, steps, task

CANCEL = new_commands.cancel_task(unique_id="a")


def test_a_create_and_its_cancel_undo_each_other(database: Database) -> None:
    """Both are discarded and logged, and both names are free again."""
    put(database, task("a"))
    assert put(database, CANCEL) == Enqueued(2, new=True, withdrew=1)
    create, cancel = found(database, 1), found(database, 2)
    assert (create.state, create.outcome, create.fence) == (CommandState.DISCARDED, Outcome.WITHDRAWN, 1)
    assert (cancel.state, cancel.outcome) == (CommandState.DISCARDED, Outcome.WITHDRAWN)
    assert create.finished_at is not None
    assert cancel.finished_at is not None
    assert steps(database, 1) == [("discard", "withdrawn", 1)]
    assert steps(database, 2) == [("discard", "withdrawn", 0)]
    assert put(database, task("a", instruction="else")) == Enqueued(3, new=True)
    assert put(database, CANCEL) == Enqueued(4, new=True, withdrew=3)


def test_a_dead_create_that_was_refused_is_undone_too(database: Database) -> None:
    """The API refused it, so there is nothing to cancel there."""
    put(database, task("a"))
    change(database, 1, CommandState.DEAD, outcome=Outcome.REJECTED)
    assert put(database, CANCEL).withdrew == 1
    assert states(database) == {1: "discarded", 2: "discarded"}


THERE: list[tuple[CommandState, dict[str, Any]]] = [
    (CommandState.QUEUED, {"ambiguous": True}),
    (CommandState.SENDING, {}),
    (CommandState.IN_DOUBT, {"ambiguous": True}),
    (CommandState.DELIVERED, {"outcome": Outcome.APPLIED}),
    (CommandState.DEAD, {"ambiguous": True}),
    (CommandState.DEAD, {"outcome": Outcome.CONFLICT}),
]


def test_a_cancel_of_what_may_be_there_is_queued(database: Database) -> None:
    """Where a task of that unique_id is, or may be, at Scale, the cancel waits for its turn."""
    put_all(database, (task(f"t{number}") for number in range(len(THERE))))
    for number, (state, values) in enumerate(THERE, 1):
        change(database, number, state, **values)
        cancel = put(database, new_commands.cancel_task(unique_id=f"t{number - 1}"))
        assert cancel == Enqueued(len(THERE) + number, new=True)
        assert states(database)[number] == state


def test_a_cancel_is_queued_where_an_earlier_create_was_refused_and_a_later_one_sent(
    database: Database,
) -> None:
    """A dead create does not stand for the delivered one that took its name."""
    put(database, task("a"))
    change(database, 1, CommandState.DEAD, outcome=Outcome.REJECTED)
    put(database, task("a", instruction="right"))
    change(database, 2, CommandState.DELIVERED)
    assert put(database, CANCEL) == Enqueued(3, new=True)
    assert states(database) == {1: "dead", 2: "delivered", 3: "queued"}


def test_a_name_that_was_given_up_does_not_keep_a_new_create_from_being_undone(database: Database) -> None:
    """A create delivered and canceled before, whose unique_id was cleared, is another task."""
    put(database, task("a"))
    change(database, 1, CommandState.DELIVERED)
    with database.write() as conn:
        conn.execute(update(commands).values(idempotency_key=None))
    put(database, task("a", instruction="second"))
    assert put(database, CANCEL) == Enqueued(3, new=True, withdrew=2)


def test_a_cancel_of_a_mirrored_task_is_queued_whatever_is_queued(database: Database) -> None:
    """A task of that unique_id is at Scale, so withdrawing a create is not enough."""
    put(database, task("a"))
    mirror(database, "tasks", task_id="5c84", unique_id="a", type="annotation")
    order = new_commands.cancel_task(task_id="5c84", unique_id="a")
    assert put(database, order) == Enqueued(2, new=True)
    assert states(database) == {1: "queued", 2: "queued"}


def test_what_hung_on_the_create_goes_with_it(database: Database) -> None:
    """A cancel queued while the create was claimed is of no use when a later cancel withdraws the create."""
    put(database, task("a"))
    change(database, 1, CommandState.SENDING)
    put(database, new_commands.cancel_task(unique_id="a", clear_unique_id=True))
    change(database, 1, CommandState.QUEUED)
    assert put(database, CANCEL) == Enqueued(3, new=True, withdrew=1)
    assert states(database) == {1: "discarded", 2: "discarded", 3: "discarded"}
    assert found(database, 2).outcome is Outcome.DEPENDENCY_FAILED


def test_a_cancel_by_id_alone_undoes_nothing(database: Database) -> None:
    """A task known by its id is at Scale."""
    put(database, task("a"))
    assert put(database, new_commands.cancel_task(task_id="5c84")) == Enqueued(2, new=True)


def test_many_cancels_are_as_quick_as_many_creates(database: Database) -> None:
    """Withdrawing a whole input is a matter of seconds, and each cancel is answered with its own create."""
    put_all(database, (task(f"t{number}", "b") for number in range(2_000)))
    cancels = (new_commands.cancel_task(unique_id=f"t{number}") for number in range(2_000))
    answers = put_all(database, cancels)
    assert answers == [Enqueued(2_001 + number, new=True, withdrew=1 + number) for number in range(2_000)]
    assert set(states(database).values()) == {"discarded"}
