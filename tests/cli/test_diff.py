"""`scalesync diff`: what changed between two responses of a task."""

from typing import Any

import pytest

from tests.support.cli_process import Scalesync, check_refusal
from tests.support.sandboxes import StartSandbox


@pytest.fixture
def fixed(start_sandbox: StartSandbox, scalesync: Scalesync) -> tuple[Scalesync, str]:
    """Return a mirror that has seen an image task's response corrected, and that task."""
    server = start_sandbox(tasks=60)
    run = scalesync.having(SCALESYNC_API_URL=server.url)
    for command in ("init", "sync"):
        assert run(command).code == 0
    tasks: list[Any] = run("task", "list", "--status", "completed", "--json").lines
    task_id = next(
        str(task["task_id"])
        for task in tasks
        if task["type"] == "imageannotation" and len(task.get("response", {}).get("annotations", ())) > 1
    )
    server.backend.fix(task_id)
    assert run("sync").code == 0
    return run, task_id


def test_a_corrected_response_is_shown_annotation_by_annotation(fixed: tuple[Scalesync, str]) -> None:
    """What was removed and what became of another one; the same in SQL, and as JSON."""
    run, task_id = fixed
    shown = run("diff", task_id)
    assert shown.code == 0, shown.err
    found: Any = run("diff", task_id, "--json").json
    kinds = [each["kind"] for each in found["differences"]]
    assert found["complete"] is True
    assert kinds[-1] == "removed"
    assert {"moved", "relabelled"} & set(kinds)
    assert all(kind in shown.out for kind in kinds)
    statement = f"SELECT kind FROM annotation_changes WHERE task_id = '{task_id}'"
    recorded: Any = run("sql", statement, "--format", "json").lines
    assert sorted(line["kind"] for line in recorded) == sorted(kinds)

    both = [found[side]["response_digest"] for side in ("before", "after")]
    again: Any = run("diff", task_id, "--before", both[0][:10], "--after", both[1], "--json").json
    assert again["differences"] == found["differences"]
    backwards = run("diff", task_id, "--before", both[1], "--after", both[0]).out
    assert "added" in backwards


def test_status_says_what_the_replaced_responses_take(fixed: tuple[Scalesync, str]) -> None:
    """How many there are, and their size."""
    run, _ = fixed
    assert "1 replaced response is kept, 0.0 MB" in run("status").out
    counted: Any = run("status", "--json").json
    assert counted["replaced_responses"] == 1
    assert counted["replaced_response_bytes"] > 100


def test_without_keeping_a_difference_is_not_known(start_sandbox: StartSandbox, scalesync: Scalesync) -> None:
    """Which `diff` says, and ends with 1; nothing is kept."""
    server = start_sandbox(tasks=30)
    run = scalesync.having(SCALESYNC_API_URL=server.url)
    for command in ("init", "sync"):
        assert run(command).code == 0
    [task, *_] = [each for each in run("task", "list", "--json").lines if "response" in each]
    server.backend.fix(str(task["task_id"]))
    assert run("sync", "--no-keep-responses").code == 0
    assert run("status", "--json").json["replaced_responses"] == 0
    check_refusal(run("diff", str(task["task_id"])), 1, "was not kept")


def test_a_task_that_cannot_be_compared_says_why(fixed: tuple[Scalesync, str]) -> None:
    """One that is not here, an unknown digest, and one that had no other response."""
    run, task_id = fixed
    check_refusal(run("diff", "0" * 24), 1, "not in the mirror")
    check_refusal(run("diff", task_id, "--before", "nonsense"), 2, "None of the task's responses")
    [pending, *_] = run("task", "list", "--status", "pending", "--json").lines
    alone = run("diff", str(pending["task_id"]))
    assert (alone.code, "nothing to compare" in alone.out) == (0, True)
