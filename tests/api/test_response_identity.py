"""An answer that names another object than was asked for is none, and what gave it is asked no more."""

from typing import Any

import pytest

from scalesync.api import ScaleApi
from scalesync.errors import ScaleException, ScaleNoAnswer, ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.retry import RetryPolicy
from tests.api.conftest import Connect, Serve
from tests.support.scripted_server import say

ONCE = RetryPolicy(attempts=1)
READS: dict[str, Any] = {
    "task": (lambda api: api.task("t"), {"task_id": "t"}),
    "batch": (lambda api: api.batch("b"), {"name": "b"}),
    "project": (lambda api: api.project("p"), {"name": "p"}),
}
TASK = {"project": "p", "batch": "b", "unique_id": "u-1", "attachment": "a"}


@pytest.mark.parametrize(("read", "ours"), READS.values(), ids=READS)
@pytest.mark.parametrize("given", [{}, {"task_id": "T", "name": "other"}, {"task_id": None, "name": 1}])
def test_a_read_gives_the_object_that_was_asked_for(
    serve: Serve, connect: Connect, read: Any, ours: Any, given: Any
) -> None:
    """Another object, or one without a name, is read again, over another connection."""
    server = serve(say(given), say(ours))
    found = read(connect(server))

    assert isinstance(found, Document)
    assert (len(server.seen), server.connections) == (2, 2)
    with pytest.raises(ScaleNoAnswer, match="not the object that was asked for"):
        read(connect(serve(say(given)), retry=ONCE))


WRITES: list[tuple[Any, int, str, bool]] = [
    ("create_task", 409, 'The unique_id ("u-1") is already used for a different task ("t").', False),
    ("create_task", 409, 'The unique_id ("u-11") is already used for a different task (5c84).', True),
    ("create_task", 400, 'Batch with name "b" not found.', False),
    ("create_task", 400, 'Batch with name "c" not found.', True),
    ("create_task", 400, 'Task type "chat" is not supported.', False),
    ("create_task", 400, 'Task type "video" is not supported.', True),
    ("create_task", 400, "attachment is required.", False),
    ("create_task", 400, '"geometries" is required.', False),
    ("cancel_task", 404, "Task with that ID not found.", False),
    ("cancel_task", 400, f"Task {'5' * 24} cannot be canceled.", True),
    ("cancel_task", 400, f"Task {'a' * 24} cannot be canceled.", False),
    ("create_batch", 409, 'Batch with name "say "b"" already exists.', False),
    ("create_batch", 409, 'Batch with name "say b" already exists.', True),
    ("create_batch", 500, 'Batch with name "say b" already exists.', False),
    ("update_project", 400, 'Project "p" is held up by batch "b".', False),
]


@pytest.mark.parametrize(("write", "status", "words", "another"), WRITES)
def test_a_refusal_may_be_about_another_object(
    serve: Serve, connect: Connect, write: str, status: int, words: str, another: bool
) -> None:
    """It says so where its words name objects, and none of the request: then nobody asks there again."""
    server = serve(say({"status_code": status, "error": words}, status))
    api = connect(server)
    calls: dict[str, Any] = {
        "create_task": lambda: api.create_task("chat", TASK),
        "cancel_task": lambda: api.cancel_task("a" * 24),
        "create_batch": lambda: api.create_batch({"name": 'say "b"', "project": "p"}),
        "update_project": lambda: api.update_project("p", {"instruction": "i"}),
    }
    for _ in range(2):
        with pytest.raises(ScaleException) as caught:
            calls[write]()
        assert (caught.value.code, caught.value.about_another) == (status, another)
    assert server.connections == (2 if another else 1)


def test_a_404_about_another_object_is_asked_for_again(serve: Serve, connect: Connect) -> None:
    """What it says the last time is believed: an API may know an object by another name."""
    missing = say({"status_code": 404, "error": 'Batch with name "c" not found.'}, 404)
    api: ScaleApi = connect(serve(missing, say({"name": "b"})))
    assert bytes(api.batch("b").raw) == b'{"name": "b"}'

    server = serve(missing)
    with pytest.raises(ScaleResourceNotFound):
        connect(server, retry=RetryPolicy(attempts=3)).batch("b")
    assert len(server.seen) == 3
