"""How commands come into the queue: once each, in the caller's transaction, or refused with a reason."""

import json
import random
import string
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.db.mirror.upsert import mark_missing
from scalesync.db.queue import command_rows, mirror_lookup
from scalesync.db.queue import enqueue as queued
from scalesync.db.schema.queue import batch_seals
from scalesync.errors import BatchSealedError, ConflictError, QueueError
from scalesync.models.commands import AttemptStep, CommandState, Creation, Enqueued, NewCommand
from scalesync.queue import new_commands
from tests.support.commands import NOON, change, count, mirror, put, put_all, task


def test_a_command_is_kept_as_it_was_ordered(database: Database) -> None:
    """Every field of the order is in the ledger, with a name of its own and the database's time."""
    order = replace(task("a", "b", project="p"), priority=-3)
    enqueued = put(database, order)
    with database.read() as conn:
        found = command_rows.find(conn, enqueued.command_id or 0)
        assert command_rows.find(conn, 99) is None
    assert found is not None
    assert enqueued == Enqueued(found.id, new=True)
    assert (found.kind, found.resource, found.scope) == (order.kind, order.resource, order.scope)
    assert (found.depends_on, found.idempotency_key) == (order.depends_on, order.idempotency_key)
    assert json.loads(found.payload) == json.loads(order.payload)
    assert (found.state, found.outcome, found.priority, found.fence) == (CommandState.QUEUED, None, -3, 0)
    assert len(found.cid) == 32
    assert abs(found.created_at - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_log_keeps_steps_in_order(database: Database) -> None:
    """Steps come back as they were logged, with the fence and the database's time."""
    number = put(database, task("a")).command_id or 0
    steps = [
        AttemptStep("look", "absent", http_status=200),
        AttemptStep("arm", "armed"),
        AttemptStep("send", "refused", 400, "no"),
    ]
    with database.write() as conn:
        command_rows.log(conn, [(number, 3, step) for step in steps])
        command_rows.log(conn, [])
        logged = command_rows.attempts(conn, number)
        assert command_rows.attempts(conn, 99) == []
    assert [AttemptStep(one.step, one.outcome, one.http_status, one.detail) for one in logged] == steps
    assert {(one.command_id, one.fence) for one in logged} == {(number, 3)}
    assert all(abs(one.at - datetime.now(UTC)) < timedelta(seconds=5) for one in logged)


def test_nothing_is_queued_when_the_caller_rolls_back(database: Database) -> None:
    """Commands, seals and withdrawals are gone with the transaction that made them."""
    first = put(database, task("a", "b"))

    class ChangedMyMindError(Exception):
        """The caller's own."""

    def half() -> None:
        with database.write() as conn:
            queued.enqueue(conn, new_commands.cancel_task(unique_id="a"))
            list(queued.enqueue_many(conn, [task("c", "d"), new_commands.finalize_batch("b")]))
            raise ChangedMyMindError

    with pytest.raises(ChangedMyMindError):
        half()
    assert count(database) == 1
    assert put(database, task("a", "b")) == replace(first, new=False)
    assert put(database, task("e", "b")).new


def test_the_same_order_twice_is_one_command(database: Database) -> None:
    """The same key with the same content is answered with the command that is there, in whatever state."""
    first = put(database, task("a", params={"b": 1, "a": [1.0, {}]}))
    same = replace(
        task("a"), payload=json.dumps(json.loads(task("a", params={"a": [1, {}], "b": 1}).payload))
    )
    assert put(database, same) == Enqueued(first.command_id, new=False)
    for state in (CommandState.SENDING, CommandState.IN_DOUBT, CommandState.DELIVERED):
        change(database, first.command_id or 0, state)
        assert put(database, same) == Enqueued(first.command_id, new=False)


def test_numbers_of_an_order_are_compared_digit_by_digit(database: Database) -> None:
    """Those that a double cannot hold too, in whichever form the database gives them back."""
    for number in (1e23, 1e-7, 2**53 + 1, 0.1):
        first = put(database, task(f"a{number}", metadata={"n": number}))
        assert put(database, task(f"a{number}", metadata={"n": number})) == Enqueued(
            first.command_id, new=False
        )
    with pytest.raises(ConflictError, match="9007199254740993 there, 9007199254740992 here"):
        put(database, task(f"a{2**53 + 1}", metadata={"n": 2**53}))


def test_what_is_dead_or_discarded_leaves_its_key(database: Database) -> None:
    """An order whose command was given up or withdrawn is queued anew, also with other content."""
    put_all(database, [task("a"), task("b")])
    change(database, 1, CommandState.DEAD)
    change(database, 2, CommandState.DISCARDED)
    assert put(database, task("a", instruction="else")).new
    assert put(database, task("b", instruction="else")).new


def test_orders_without_a_key_are_never_the_same(database: Database) -> None:
    """The same update of a project can be meant twice."""
    order = new_commands.update_project("p", {"x": 1})
    assert put(database, order).new
    assert put(database, order).new


DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"params": {"a": [1, 2]}}, "body.params.a ([1] there, [1, 2] here)"),
    ({"params": {"a": [True]}}, "body.params.a[0] (1 there, true here)"),
    ({"params": {"a": [1]}, "metadata": {}}, "body.metadata (nothing there, {} here)"),
    (
        {"params": {"b": "https://b/1.jpg?v=2&X-Amz-Signature=secret", "c": "c" * 100, "d": 1}},
        "body.params.a ([1] there, nothing here), "  # noqa: ISC004 - one text
        'body.params.b (nothing there, "https://b/1.jpg?v=2" here), '
        f'body.params.c (nothing there, "{"c" * 79}... here) and 1 more',
    ),
]


def test_the_same_key_with_other_content_is_a_conflict(database: Database) -> None:
    """The refusal names the command that has the key, and what differs; nothing is queued."""
    put(database, task("a", params={"a": [1]}))
    for other, fields in DIFFERENT:
        with pytest.raises(ConflictError) as refused:
            put(database, task("a", **other))
        assert refused.value.message == (
            f"There is another create_task of 'a', command 1, which is queued: it differs in {fields}."
        )
    assert count(database) == 1


def test_content_as_deep_as_json_gets_is_compared(database: Database) -> None:
    """No depth of content that could be queued breaks the comparison."""
    deep: list[Any] = [1]
    for _ in range(400):
        deep = [{"x": deep}]
    put(database, task("a", params=deep))
    assert not put(database, task("a", params=deep)).new
    with pytest.raises(ConflictError):
        put(database, task("a", params=[deep]))


def test_the_same_content_for_another_batch_is_a_conflict_with_advice(database: Database) -> None:
    """A task without a unique_id is the same in every batch, and people are told how to have it twice."""
    put(database, new_commands.create_task("annotation", {"instruction": "x", "batch": "one"}))
    again = {"instruction": "x", "batch": "two"}
    with pytest.raises(ConflictError) as refused:
        put(database, new_commands.create_task("annotation", again))
    assert refused.value.message == (
        "The same content is already queued as command 1, which is queued, for another batch;"
        " --allow-duplicates submits it again."
    )
    assert put(database, new_commands.create_task("annotation", again, duplicate="another")).new


def test_what_the_mirror_holds_is_not_queued(database: Database) -> None:
    """A create whose object is mirrored and agrees is answered with the object's key."""
    mirror(database, "tasks", task_id="5c84", unique_id="a", type="annotation", project="p", batch="b")
    mirror(database, "batches", name="b", project="p")
    mirror(database, "projects", name="p", type="annotation")
    assert put(database, task("a", "b", project="p")) == Enqueued(None, new=False, mirrored="5c84")
    assert put(database, task("a")).mirrored == "5c84"
    assert put(database, new_commands.create_batch("b", "p")).mirrored == "b"
    assert put(database, new_commands.create_project("p", "annotation", {})).mirrored == "p"
    assert count(database) == 0


def test_a_mirrored_object_that_differs_is_a_conflict(database: Database) -> None:
    """The refusal names the object and what is different with it."""
    mirror(database, "tasks", task_id="5c84", unique_id="a", type="annotation", project="q")
    mirror(database, "batches", name="b", project="q")
    with pytest.raises(ConflictError) as refused:
        put(database, task("a", "b", project="p"))
    assert refused.value.message == (
        "The mirrored object 5c84 in tasks has the name 'a', and is another one:"
        ' its project is "q", not "p"; its batch is nothing, not "b".'
    )
    with pytest.raises(
        ConflictError, match=r"in batches has the name 'b'.*: its project is \"q\", not \"p\""
    ):
        put(database, new_commands.create_batch("b", "p"))


MIRRORED_TASK = {
    "task_id": "5c84",
    "unique_id": "a",
    "type": "imageannotation",
    "project": "p",
    "instruction": "Look.",
    "params": {"attachment": "https://x/1.jpg", "geometries": {"box": {"objects": ["car"], "min": 1}}},
    "metadata": {"camera": 3, "by": {"who": "me"}},
    "tags": ["one", "two"],
    "urgency": "standard",
    "status": "completed",
}
MIRRORED_BATCH = {"name": "b", "project": "p", "metadata": {"week": 47}, "callback": "", "status": "staging"}
MIRRORED_PROJECT = {
    "name": "p",
    "type": "imageannotation",
    "rapid": True,
    "param_history": [
        {"version": 0, "created_at": "2024-01-01T00:00:00.000Z", "instruction": "Look.", "geometries": {}},
        {"version": 1, "created_at": "2024-01-02T00:00:00.000Z", "instruction": "Look again."},
    ],
}
BOX = "imageannotation"


def of(**body: Any) -> NewCommand:
    """Return the create of a task, of the one that the mirror has unless it is named otherwise."""
    return new_commands.create_task(BOX, {"unique_id": "a", **body})


KNOWN = [
    of(attachment="https://x/1.jpg", metadata={"camera": 3.0}, tags=["two"], callback_url="https://x/done"),
    of(geometries={"box": {"objects": ["car"]}}, instruction="Look.", metadata={}, force=True, priority=None),
    of(project="p", urgency="standard", metadata={"by": {"who": "me"}}),
    new_commands.create_batch("b", "p", metadata={"week": 47.0}, calibration_batch=True),
    new_commands.create_batch("b", "p", metadata={}),
    new_commands.create_project("p", BOX, {"instruction": "Look."}, rapid=True),
    new_commands.create_project("p", BOX, {"instruction": "Look again."}, studio=True),
]
OTHERS = [
    (of(attachment="https://x/2.jpg"), 'its params.attachment is "https://x/1.jpg", not "https://x/2.jpg"'),
    (
        of(geometries={"box": {"objects": ["bus"]}}),
        'its params.geometries.box.objects[0] is "car", not "bus"',
    ),
    (of(attachment="https://x/1.jpg", more=1), "its params.more is nothing, not 1"),
    (of(instruction="Do."), 'its instruction is "Look.", not "Do."'),
    (of(metadata={"camera": True}), "its metadata.camera is 3, not true"),
    (of(tags=["three"]), 'its tags is ["one", "two"], not ["three"]'),
    (of(urgency="immediate"), 'its urgency is "standard", not "immediate"'),
    (of(project="q"), 'its project is "p", not "q"'),
    (new_commands.create_batch("b", "p", metadata={"week": 48}), "its metadata.week is 47, not 48"),
    (new_commands.create_batch("b", "p", callback="https://x"), 'its callback is "", not "https://x"'),
    (
        new_commands.create_project("p", BOX, {"instruction": "Do."}),
        'its params.instruction is "Look.", not "Do."',
    ),
    (new_commands.create_project("p", "chat", {}), 'its type is "imageannotation", not "chat"'),
]


def mirror_all(database: Database) -> None:
    """Have the mirror hold a task, a batch and a project."""
    mirror(database, "tasks", **MIRRORED_TASK)
    mirror(database, "batches", **MIRRORED_BATCH)
    mirror(database, "projects", **MIRRORED_PROJECT)


def test_what_the_mirror_holds_with_the_same_content_is_known(database: Database) -> None:
    """By value: what the API added, or a person tagged, makes no difference."""
    mirror_all(database)
    for order in KNOWN:
        enqueued = put(database, order)
        assert (enqueued.new, enqueued.mirrored is None) == (False, False), order.payload
    assert count(database) == 0


@pytest.mark.parametrize(("order", "words"), OTHERS, ids=[words for _, words in OTHERS])
def test_what_the_mirror_holds_with_other_content_is_refused(
    database: Database, order: NewCommand, words: str
) -> None:
    """Both are shown; nothing is queued."""
    mirror_all(database)
    with pytest.raises(ConflictError) as refused:
        put(database, order)
    assert refused.value.message.endswith(f"and is another one: {words}.")
    assert count(database) == 0


def test_content_that_gave_its_unique_id_is_the_same(database: Database) -> None:
    """People may have changed the metadata at Scale since; only another batch makes it another task."""
    order = new_commands.create_task(
        BOX, {"attachment": "https://x/1.jpg", "metadata": {"n": 1}, "batch": "b"}
    )
    made = {**MIRRORED_TASK, "unique_id": order.resource.removeprefix("task:"), "batch": "b"}
    mirror(database, "tasks", **made)
    assert put(database, order).mirrored == "5c84"
    other = new_commands.create_task(
        BOX, {"attachment": "https://x/1.jpg", "metadata": {"n": 1}, "batch": "c"}
    )
    with pytest.raises(ConflictError, match="in another batch; --allow-duplicates submits it again"):
        put(database, other)


def test_a_mirrored_object_that_is_missing_at_the_api_does_not_count(database: Database) -> None:
    """What the API no longer has can be made again."""
    mirror(database, "tasks", task_id="5c84", unique_id="a", type="video")
    with database.write() as conn:
        mark_missing(conn, MAPPINGS["tasks"], ["5c84"], NOON)
    assert put(database, task("a")).new


def test_a_sealed_batch_takes_nothing_more(database: Database) -> None:
    """After a finalize is queued, creates for its batch are refused, others are not; the same again is."""
    early = put(database, task("early", "b"))
    finalize = put(database, new_commands.finalize_batch("b"))
    for late in (task("late", "b"), new_commands.create_batch("b", "p")):
        with pytest.raises(BatchSealedError) as refused:
            put(database, late)
        assert refused.value.message == "Batch 'b' takes nothing more: command 2 finalizes it."
        assert "queue discard 2" in refused.value.advice
    assert put(database, task("early", "b")) == replace(early, new=False)
    assert put(database, new_commands.finalize_batch("b")) == replace(finalize, new=False)
    assert put(database, task("late", "c")).new
    assert put(database, task("late without a batch")).new
    with database.read() as conn:
        seals = dict(conn.execute(select(batch_seals.c.batch, batch_seals.c.sealed_by)).all())
    assert seals == {"b": 2, "c": None}


def test_a_second_finalize_takes_the_seal_of_a_dead_one(database: Database) -> None:
    """When a finalize is dead and another is queued, it is the newer one that keeps the batch closed."""
    put(database, new_commands.finalize_batch("b"))
    change(database, 1, CommandState.DEAD)
    assert put(database, new_commands.finalize_batch("b")).command_id == 2
    with pytest.raises(BatchSealedError, match="command 2"):
        put(database, task("a", "b"))


def test_many_orders_behave_like_one_call_after_the_other(database: Database) -> None:
    """Answers come in the order of the input, and each is what a call of its own would have said."""
    answers = put_all(
        database,
        [
            new_commands.create_batch("b", "p"),
            task("a", "b"),
            task("a", "b"),
            task("a", "b", instruction="x"),
            new_commands.update_project("p", {"x": 1}),
            new_commands.update_project("p", {"x": 1}),
            new_commands.finalize_batch("b"),
            task("c", "b"),
            new_commands.cancel_task(unique_id="a"),
            task("a", "b", instruction="x"),
        ],
    )
    assert [type(answer) for answer in answers] == [
        *[Enqueued] * 3, ConflictError, *[Enqueued] * 3, BatchSealedError, Enqueued, BatchSealedError,
    ]  # fmt: skip
    numbers = [answer.command_id for answer in answers if isinstance(answer, Enqueued)]
    assert numbers == [1, 2, 2, 3, 4, 5, 6]
    assert answers[2] == Enqueued(2, new=False)
    assert answers[8] == Enqueued(6, new=True, withdrew=2)


def test_no_orders_are_no_trouble(database: Database) -> None:
    """An empty input queues nothing."""
    assert put_all(database, []) == []


def numbered(size: int) -> Iterator[NewCommand]:
    """Yield the creates of so many tasks of one batch."""
    params = {"attachment": "https://example.com/1.png", "objects": ["car", "pedestrian"]}
    return (task(f"image-{number}", "b", project="p", params=params) for number in range(size))


def test_many_orders_are_queued_once_and_in_flat_memory(database: Database) -> None:
    """A large input takes few megabytes, keeps its order, and queues nothing the second time."""
    tracemalloc.start()
    with database.write() as conn:
        assert all(
            isinstance(one, Enqueued) and one.new for one in queued.enqueue_many(conn, numbered(2_000))
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000

    with database.write() as conn:
        answers = queued.enqueue_many(conn, numbered(6_000))
        new = [one.command_id or 0 for one in answers if isinstance(one, Enqueued) and one.new]
    assert len(new) == 4_000
    assert new == sorted(new)

    with database.write() as conn:
        assert not any(_is_new(one) for one in queued.enqueue_many(conn, numbered(6_000)))
    assert count(database) == 6_000
    with database.read() as conn:
        last = command_rows.find(conn, new[-1])
    assert last is not None
    assert last.resource == "task:image-5999"


def _is_new(answer: Enqueued | QueueError) -> bool:
    return isinstance(answer, Enqueued) and answer.new


def test_what_the_mirror_and_the_queue_know_of_a_batch(database: Database) -> None:
    """Pending mirrored tasks and creates that are still open are found, for people who cancel them all."""
    for key, status in (("t1", "pending"), ("t2", "completed"), ("t3", "pending"), ("t4", "pending")):
        mirror(database, "tasks", task_id=key, batch="b", status=status, unique_id=f"u-{key}")
    mirror(database, "tasks", task_id="t5", batch="b", status="pending")
    with database.write() as conn:
        mark_missing(conn, MAPPINGS["tasks"], ["t4"], NOON)
    put_all(
        database, [task("a", "b"), task("c", "b"), task("d", "other"), new_commands.create_batch("x", "p")]
    )
    change(database, 1, CommandState.DELIVERED)
    with database.read() as conn:
        assert mirror_lookup.pending_tasks(conn, "b") == [("t1", "u-t1"), ("t3", "u-t3"), ("t5", None)]
        assert queued.queued_creates(conn, "b") == ["c"]
        assert mirror_lookup.unique_ids(conn, ["t1", "t5", "gone"]) == {"t1": "u-t1", "t5": None}


def test_a_create_may_name_no_columns_to_agree(database: Database) -> None:
    """An object of that name is the same one where an order asks for nothing more."""
    mirror(database, "batches", name="b", project="q")
    order = replace(new_commands.create_batch("b", "p"), creates=Creation("batches", "b", ()))
    assert put(database, order).mirrored == "b"


def of_length(size: int, kind: str = "u") -> str:
    """Return a name of so many bytes that no database can make shorter."""
    chance = random.Random(kind)
    return kind + "".join(chance.choices(string.ascii_letters + string.digits, k=size - 3)) + "\u00fc"


def test_the_longest_names_can_be_queued(database: Database) -> None:
    """The same on both databases, in every place where a name stands."""
    names = {kind: of_length(new_commands.MAX_NAME_BYTES, kind) for kind in ("u", "b", "p", "t")}
    made = [
        new_commands.create_project(names["p"], BOX, {}),
        new_commands.create_batch(names["b"], names["p"]),
        of(unique_id=names["u"], project=names["p"], batch=names["b"]),
        new_commands.cancel_task(unique_id=names["u"], task_id=names["t"], clear_unique_id=True),
        new_commands.update_project(names["p"], {"a": 1}, patch=True),
        new_commands.finalize_batch(names["b"]),
    ]
    assert [put(database, order).new for order in made] == [True] * len(made)


TOO_LONG = of_length(new_commands.MAX_NAME_BYTES + 1)
MAKING: list[tuple[str, Callable[[], NewCommand]]] = [
    ("unique_id", lambda: of(unique_id=TOO_LONG)),
    ("project", lambda: of(project=TOO_LONG)),
    ("batch", lambda: of(batch=TOO_LONG)),
    ("task type", lambda: new_commands.create_task(TOO_LONG, {})),
    ("unique_id", lambda: new_commands.cancel_task(unique_id=TOO_LONG)),
    ("task id", lambda: new_commands.cancel_task(task_id=TOO_LONG)),
    ("batch", lambda: new_commands.create_batch(TOO_LONG, "p")),
    ("project", lambda: new_commands.create_batch("b", TOO_LONG)),
    ("batch", lambda: new_commands.finalize_batch(TOO_LONG)),
    ("project", lambda: new_commands.create_project(TOO_LONG, BOX, {})),
    ("project", lambda: new_commands.update_project(TOO_LONG, {})),
]


@pytest.mark.parametrize(("what", "make"), MAKING)
def test_a_longer_name_is_refused(what: str, make: Callable[[], NewCommand]) -> None:
    """In one sentence, before any database is asked."""
    with pytest.raises(QueueError, match=f"The {what} is 2,001 bytes long; at most 2,000 can be queued"):
        make()
