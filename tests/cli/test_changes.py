"""`scalesync changes`: following the mirror by remembering one number."""

from tests.support.cli_process import Scalesync, check_refusal
from tests.support.sandboxes import StartSandbox


def test_whoever_remembers_one_number_hears_of_every_change(
    start_sandbox: StartSandbox, scalesync: Scalesync
) -> None:
    """After the first sync of every task; then, from the last number on, of what came since, and no more."""
    server = start_sandbox(tasks=40)
    run = scalesync.having(SCALESYNC_API_URL=server.url)
    for command in ("init", "sync"):
        assert run(command).code == 0
    first = run("changes", "--json").lines
    assert {line["task_id"] for line in first} == {
        line["task_id"] for line in run("task", "list", "--json").lines
    }

    task = next(line for line in run("task", "list", "--status", "pending", "--json").lines)
    server.backend.complete(str(task["task_id"]))
    run("sync")

    last = str(first[-1]["id"])
    after = run("changes", "--since-id", last, "--json").lines
    assert {line["task_id"] for line in after} == {task["task_id"]}
    assert [line["field"] for line in after][:1] == ["status"]
    assert (after[0]["before"], after[0]["after"]) == ("pending", "completed")
    assert run("changes", "--since-id", str(after[-1]["id"])).out == ""
    assert run("changes", "--since", str(after[0]["seen_at"]), "--json").lines[-len(after) :] == after
    shown = run("changes", "--since-id", last).out.splitlines()
    assert "pending -> completed" in shown[0]
    assert len(shown) == len(after)


def test_a_number_that_is_none_is_refused(empty_mirror: Scalesync) -> None:
    """So is a time that cannot be read; an empty history is no error."""
    for arguments in (("--since-id", "-1"), ("--since-id", "x"), ("--since", "yesterday-ish")):
        check_refusal(empty_mirror("changes", *arguments), 2)
    assert empty_mirror("changes").code == 0


def test_a_number_may_be_as_large_as_a_database_takes(empty_mirror: Scalesync) -> None:
    """A long history has large numbers; a limit may be larger than anything there is."""
    for arguments in ("changes --since-id 300000000", f"task list --limit {2**63 - 1}"):
        done = empty_mirror(*arguments.split())
        assert done.code == 0, done.err
