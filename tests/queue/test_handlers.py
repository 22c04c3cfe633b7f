"""How each kind is sent and looked up, against the sandbox over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.models.commands import NewCommand
from scalesync.payload_comparison import first_difference
from scalesync.queue import new_commands
from scalesync.queue.handlers import HANDLERS
from scalesync.queue.handlers.interface import (
    Absent,
    Conflict,
    Foreign,
    LookUp,
    LookUpOutcome,
    Prepared,
    Present,
    TooLate,
    payload_of,
)
from scalesync.retry import RetryPolicy
from scalesync.sandbox import SandboxServer
from tests.support.dispatch_env import claimed

KEY = "live_key"
BOX = "imageannotation"
BODY = {"attachment": "https://example.com/1.jpg", "geometries": {"box": {"objects": ["car", "bus"]}}}


@pytest.fixture
def api(sandbox: SandboxServer) -> Iterator[ScaleApi]:
    """Return a client of an account with a Rapid project `p` and an empty batch `b` in it."""
    with ScaleApi(KEY, ApiOptions(url=sandbox.url, retry=RetryPolicy(attempts=1))) as client:
        client.create_project({"name": "p", "type": BOX, "rapid": True, "params": {"a": 1, "b": {"c": 2}}})
        client.create_batch({"name": "b", "project": "p"})
        yield client


def send(api: ScaleApi, order: NewCommand) -> dict[str, Any]:
    """Prepare and send an order, and return what the API answered."""
    command = claimed(order, target=prepare(api, order).target)
    document = HANDLERS[order.kind].send(api, payload_of(command))
    return {} if document is None else dict(json.loads(bytes(document.raw)))


def look(api: ScaleApi, order: NewCommand, **columns: Any) -> LookUp:
    """Look an order up."""
    return HANDLERS[order.kind].look_up(api, claimed(order, **columns))


def prepare(api: ScaleApi, order: NewCommand) -> Prepared:
    """Prepare an order."""
    return HANDLERS[order.kind].prepare(api, claimed(order))


def shown(sighting: LookUp) -> dict[str, Any]:
    """Return the object that a look found."""
    assert isinstance(sighting, Present)
    assert sighting.document is not None
    return dict(json.loads(bytes(sighting.document.raw)))


def task(unique_id: str = "u", **more: Any) -> NewCommand:
    """Return the order for a task in batch `b`."""
    return new_commands.create_task(
        BOX, {**BODY, "unique_id": unique_id, "project": "p", "batch": "b", **more}
    )


# create_task ---------------------------------------------------------------------------------------------


def test_a_task_is_absent_before_and_present_after(api: ScaleApi) -> None:
    """The look finds the task that the send made, by its unique_id alone, whatever the API added to it."""
    order = task(instruction="Look.", metadata={"n": 1}, tags=["t"], callback_url="https://example.com/done")

    assert look(api, order) == Absent()
    sent = send(api, order)

    assert shown(look(api, order)) == sent
    assert sent["params"].keys() > BODY.keys()


def test_orders_to_the_api_and_unset_fields_are_no_part_of_a_task(api: ScaleApi) -> None:
    """`force`, `clear_unique_id_on_error` and nulls, which the API does not keep, do not matter."""
    order = task(force=True, clear_unique_id_on_error=True, geometries={"box": {"objects": [], "min": None}})
    send(api, order)

    assert isinstance(look(api, order), Present)


def test_what_people_change_on_a_task_leaves_it_ours(api: ScaleApi, sandbox: SandboxServer) -> None:
    """Metadata, tags and status are free to differ, and what was found is the task as it is now."""
    order = task(metadata={"n": 1}, tags=["t"])
    made = send(api, order)
    with sandbox.backend.locked():
        account = sandbox.backend.live
        account.save_task({**account.task(made["task_id"]).doc(), "metadata": {"n": 2}, "tags": []})
    sandbox.backend.complete(made["task_id"])

    assert shown(look(api, order))["status"] == "completed"


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"attachment": "https://example.com/2.jpg"}, "attachment"),
        ({"geometries": {"box": {"objects": ["car"]}}}, "geometries"),
        ({"geometries": {"box": {"objects": ["bus", "car"]}}}, "geometries"),
        ({"batch": None}, "batch"),
        ({"project": None, "batch": None}, "project"),
        ({"extra": True}, None),
    ],
)
def test_a_task_of_other_content_is_a_conflict(
    api: ScaleApi, others: dict[str, Any], field: str | None
) -> None:
    """The words name the task and the first field that differs, no value; more than ours is no conflict."""
    theirs = send(api, task(**others))
    sighting = look(api, task())

    if field is None:
        assert isinstance(sighting, Present)
        return
    assert isinstance(sighting, Conflict)
    assert (theirs["task_id"] in sighting.words, field in sighting.words) == (True, True)
    assert "example.com" not in sighting.words


def test_one_is_not_true(api: ScaleApi) -> None:
    """A number where we said true, which Python takes for equal, is another content."""
    send(api, task(flag=1))

    assert isinstance(look(api, task(flag=True)), Conflict)
    assert isinstance(look(api, task(flag=1.0)), Present)


def test_a_task_of_another_type_is_a_conflict(api: ScaleApi) -> None:
    """The type is a part of what was asked for."""
    send(
        api, new_commands.create_task("annotation", {**BODY, "unique_id": "u", "project": "p", "batch": "b"})
    )
    sighting = look(api, task())

    assert isinstance(sighting, Conflict)
    assert sighting.words.endswith("another type.")


def test_ours_is_contained_in_theirs() -> None:
    """What we left unset may be anything there, at any depth; lists are equal element by element."""
    theirs = {"a": 1, "b": {"c": [{"d": 1, "e": 2}], "f": 5}}

    assert first_difference({"a": None, "z": None, "b": {"c": [{"d": 1}], "f": None}}, theirs) is None
    assert first_difference({"a": 1, "b": {"c": [{"d": 2}]}}, theirs) == "b"
    assert first_difference({"z": 0, "b": {"c": []}}, theirs) == "z"


class Deaf(ScaleApi):
    """An API that ignores what it is asked to filter by."""

    def tasks(self, chosen: Any, **more: Any) -> Any:
        """Return the tasks of any unique_id."""
        return super().tasks(type(chosen)(), **more)


def test_a_list_of_other_tasks_proves_nothing(api: ScaleApi, sandbox: SandboxServer) -> None:
    """Where the API answers with tasks that were not asked for, the look failed: the task is not absent."""
    send(api, task("other"))

    with (
        Deaf(KEY, ApiOptions(url=sandbox.url, retry=RetryPolicy(attempts=1))) as deaf,
        pytest.raises(ScaleNoAnswer),
    ):
        look(deaf, task())


# cancel_task ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["task_id", "unique_id"])
@pytest.mark.parametrize("clear", [False, True])
def test_a_cancel_is_absent_before_and_present_after(api: ScaleApi, by: str, clear: bool) -> None:
    """By id or unique_id, with or without freeing the unique_id; without an id, a freed one is missing."""
    made = send(api, task())
    order = new_commands.cancel_task(**{by: made[by]}, clear_unique_id=clear)

    assert look(api, order) == Absent()
    assert send(api, order)["status"] == "canceled"
    if by == "unique_id" and clear:
        with pytest.raises(ScaleResourceNotFound):
            look(api, order)
        assert HANDLERS[order.kind].missing(claimed(order, sends=1)) == Present(None)
        assert HANDLERS[order.kind].missing(claimed(order, sends=0)) == Absent()
    else:
        assert shown(look(api, order))["task_id"] == made["task_id"]


def test_a_canceled_task_that_keeps_its_unique_id_is_not_what_was_asked_for(api: ScaleApi) -> None:
    """Somebody canceled it without freeing the unique_id."""
    made = send(api, task())
    order = new_commands.cancel_task(task_id=made["task_id"], clear_unique_id=True)
    send(api, new_commands.cancel_task(task_id=made["task_id"]))

    assert look(api, order) == Absent()


def test_a_completed_task_cannot_be_canceled(api: ScaleApi, sandbox: SandboxServer) -> None:
    """The look tells that it is too late."""
    made = send(api, task())
    sandbox.backend.complete(made["task_id"])

    assert isinstance(look(api, new_commands.cancel_task(unique_id="u")), TooLate)


def test_a_cancel_by_unique_id_learns_the_id_before_it_is_armed(api: ScaleApi) -> None:
    """What is sent then names the task; without any such task there is nothing to send."""
    made = send(api, task())

    assert prepare(api, new_commands.cancel_task(task_id=made["task_id"])) == Prepared()
    assert prepare(api, new_commands.cancel_task(unique_id="u")) == Prepared(target=made["task_id"])
    with pytest.raises(ScaleResourceNotFound):
        prepare(api, new_commands.cancel_task(unique_id="nobody's"))
    with pytest.raises(ScaleResourceNotFound):
        send(api, new_commands.cancel_task(unique_id="nobody's"))


def test_only_a_cancel_that_clears_frees_the_name() -> None:
    """No other kind gives up its idempotency key."""
    made = [
        task(),
        new_commands.cancel_task(task_id="1"),
        new_commands.create_batch("b", "p"),
        new_commands.finalize_batch("b"),
        new_commands.create_project("p", BOX, {}),
        new_commands.update_project("p", {}),
        new_commands.cancel_task(task_id="1", clear_unique_id=True),
    ]
    frees = [HANDLERS[order.kind].frees_key(payload_of(claimed(order))) for order in made]

    assert frees == [False] * 6 + [True]


# Batches -------------------------------------------------------------------------------------------------


def test_a_batch_is_absent_before_and_present_after(api: ScaleApi) -> None:
    """The look finds the batch of our name in our project, and takes any other for a conflict."""
    order = new_commands.create_batch("n", "p", callback="https://example.com/done")
    api.create_project({"name": "q", "type": BOX})

    assert look(api, order) == Absent()
    assert shown(look(api, order) if send(api, order) else Absent())["name"] == "n"
    assert isinstance(look(api, new_commands.create_batch("n", "q")), Conflict)


def test_a_finalized_batch_has_left_staging(api: ScaleApi) -> None:
    """Before it is absent, after it is present; a batch that is not there is no answer to the question."""
    order = new_commands.finalize_batch("b")

    assert look(api, order) == Absent()
    assert send(api, order)["status"] == "in_progress"
    assert shown(look(api, order))["status"] == "in_progress"
    with pytest.raises(ScaleResourceNotFound):
        look(api, new_commands.finalize_batch("nowhere"))


# Projects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{"instruction": "Look.", "unset": None}, {}])
def test_a_project_is_absent_before_and_present_after(api: ScaleApi, params: dict[str, Any]) -> None:
    """The look compares type and first params, whatever versions came later."""
    order = new_commands.create_project("n", BOX, params)

    assert look(api, order) == Absent()
    send(api, order)
    if params:
        api.update_project("n", {"instruction": "Later."})
    assert shown(look(api, order))["name"] == "n"
    assert isinstance(look(api, new_commands.create_project("n", "annotation", params)), Conflict)
    assert isinstance(look(api, new_commands.create_project("n", BOX, {"instruction": "No."})), Conflict)


@pytest.mark.parametrize(
    ("params", "patch", "no_op"),
    [
        ({"a": 1, "b": {"c": 2}}, None, True),
        ({"b": {"c": 2}, "a": 1, "unset": None}, False, True),
        ({"a": 1}, True, True),
        ({"a": 1}, None, False),
        ({"b": {}}, True, False),
        ({"z": 1}, True, False),
    ],
)
def test_an_update_that_would_change_nothing(
    api: ScaleApi, params: dict[str, Any], patch: bool | None, no_op: bool
) -> None:
    """Whole or merged over the last version, it is compared by content; the last version is the base."""
    found = prepare(api, new_commands.update_project("p", params, patch=patch))

    assert (found.base, found.no_op is not None) == (0, no_op)


def test_the_first_version_of_a_project_has_nothing_before_it(api: ScaleApi) -> None:
    """A project without params has base -1, and any params are news to it, even none."""
    api.create_project({"name": "bare", "type": BOX})
    order = new_commands.update_project("bare", {})

    assert prepare(api, order) == Prepared(base=-1)
    assert look(api, order, base=-1) == Absent()
    send(api, order)
    assert isinstance(look(api, order, base=-1), Present)


@pytest.mark.parametrize("patch", [None, True])
def test_an_update_is_the_version_after_the_base_that_says_the_same(
    api: ScaleApi, patch: bool | None
) -> None:
    """Before the send there is none; the same content before the base is not ours."""
    order = new_commands.update_project("p", {"a": 2}, patch=patch)
    send(api, order)
    api.update_project("p", {"a": 3})

    assert look(api, order, base=2) == Absent()
    send(api, order)
    assert shown(look(api, order, base=2))["param_history"][-1]["a"] == 2


def test_a_version_of_somebody_else_stops_an_update(api: ScaleApi) -> None:
    """What neither we nor the base explain is foreign; if ours is there as well, it is present."""
    order = new_commands.update_project("p", {"a": 2}, patch=True)
    api.update_project("p", {"a": 9, "x": 9})

    sighting = look(api, order, base=0)
    assert isinstance(sighting, Foreign)
    assert "Version 1 " in sighting.words
    send(api, order)
    assert isinstance(look(api, order, base=0), Present)


def test_without_a_base_only_the_last_version_proves_anything(api: ScaleApi) -> None:
    """After `queue distrust`: last is ours: present; an older one is: somebody has to look; none: absent."""
    order = new_commands.update_project("p", {"a": 2})

    assert look(api, order) == Absent()
    send(api, order)
    assert isinstance(look(api, order), Present)
    api.update_project("p", {"a": 3})
    assert isinstance(look(api, order), Foreign)


# All of them ---------------------------------------------------------------------------------------------


def test_a_look_that_fails_is_no_absence(api: ScaleApi, sandbox: SandboxServer) -> None:
    """Whatever goes wrong with a look is raised, for every kind."""
    sandbox.backend.faults.replace(["500:100%@GET"])
    made = [
        task(),
        new_commands.cancel_task(task_id="1"),
        new_commands.cancel_task(unique_id="u"),
        new_commands.create_batch("n", "p"),
        new_commands.finalize_batch("b"),
        new_commands.create_project("n", BOX, {}),
        new_commands.update_project("p", {}),
    ]
    for order in made:
        with pytest.raises(ScaleException) as caught:
            look(api, order)
        assert caught.value.code == 500


@pytest.mark.parametrize("kind", HANDLERS)
def test_an_answer_that_names_nothing_names_nothing(kind: str) -> None:
    """The result is what the API named; an answer without it has none, one that is no object is refused."""
    handler = HANDLERS[kind]
    keys = handler.result_fields or ("task_id" if handler.stream == "tasks" else "name",)

    def document(text: str) -> Document:
        return Document(msgspec.Raw(text.encode()), claimed(task()).created_at)

    named = dict.fromkeys(keys, "x")
    assert json.loads(handler.result(document(json.dumps({**named, "more": 1}))) or "") == named
    for wrong in ({}, {**named, keys[-1]: ""}, {**named, keys[-1]: 1}):
        assert handler.result(document(json.dumps(wrong))) is None
    for text in ("[]", "{", "[" * 100_000):
        with pytest.raises(ScaleNoAnswer):
            handler.result(document(text))


@pytest.mark.parametrize("history", ['"x"', "[1]", '[{"version": "1"}]'])
def test_a_history_that_cannot_be_read_proves_nothing(
    api: ScaleApi, sandbox: SandboxServer, history: str
) -> None:
    """A project whose versions have no numbers is a look that failed."""
    with sandbox.backend.locked():
        account = sandbox.backend.live
        account.save("projects", "p", {**account.project("p"), "param_history": json.loads(history)})

    with pytest.raises(ScaleNoAnswer):
        look(api, new_commands.update_project("p", {"a": 2}), base=0)


def test_what_a_look_found_is_logged_under_these_words() -> None:
    """They are in `command_attempts.outcome` of every database there is."""
    found = {kind: kind.outcome.value for kind in (Present, Absent, Conflict, TooLate, Foreign)}

    assert list(found.values()) == ["present", "absent", "conflict", "toolate", "foreign"]
    assert {*found.values(), LookUpOutcome.FAILED} == set(LookUpOutcome)
