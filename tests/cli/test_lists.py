"""Lists of tasks, batches and projects: a screenful on a terminal, all of them on a pipe."""

import json
import os
import pty
import subprocess

import pytest

from tests.support.cli_process import COMMAND, Scalesync, check_refusal, execute


def on_terminal(mirror: Scalesync, *words: str, width: int = 80) -> list[str]:
    """Return the lines that a command shows on a terminal, without what makes its heading bold."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [*COMMAND, *words], cwd=mirror.directory, env=mirror.environment() | {"COLUMNS": str(width)},
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 65_536):
            shown += more
    except OSError:
        # Linux says so when nobody writes to the terminal any more.
        pass
    os.close(ours)
    _, said = done.communicate()
    assert (done.returncode, said) == (0, b"")
    return shown.decode().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


def created(mirror: Scalesync) -> list[str]:
    """Return when tasks were created, newest first."""
    found = execute(mirror.mirror, "SELECT created_at FROM tasks ORDER BY created_at DESC")
    return [str(at) for (at,) in found]


def test_a_terminal_shows_the_newest_tasks_and_how_many_more(mirror: Scalesync) -> None:
    """Thirty of them, newest first; at 80 columns headings and times are whole, and no line is longer."""
    heading, *rows, last = on_terminal(mirror, "task", "list")
    assert heading.split() == ["task_id", "project", "type", "status", "created_at"]
    assert [row.split()[-1] for row in rows] == created(mirror)[:30]
    assert last == "970 more tasks: `--limit 0` lists all."
    assert max(map(len, (heading, *rows))) <= 80


@pytest.mark.parametrize("words", [("task", "list"), ("batch", "list"), ("project", "list")])
def test_headings_and_times_are_whole_on_any_terminal(words: tuple[str, ...], mirror: Scalesync) -> None:
    """A wide one has every column, a narrow one fewer."""
    wide, *rows = on_terminal(mirror, *words, width=400)
    assert wide.split() == mirror(*words).out.splitlines()[0].split()
    heading, *narrow = on_terminal(mirror, *words)
    assert "…" not in heading
    assert set(heading.split()) <= set(wide.split())
    times = [word for row in narrow for word in row.split() if word.startswith("20")]
    assert {len(each) for each in times if "T" in each} == {24}
    assert len(rows) <= 31


def test_a_terminal_shows_what_is_asked_for(mirror: Scalesync) -> None:
    """All, or so many, in another order, with other fields; whatever fits is not counted."""
    assert len(on_terminal(mirror, "task", "list", "--limit", "0")) == 1_001
    *rows, more = on_terminal(mirror, "task", "list", "--limit", "5", "--sort", "created_at")
    assert (len(rows), more) == (6, "995 more tasks: `--limit 0` lists all.")
    assert rows[1].split()[-1] == created(mirror)[-1]
    heading, *_ = on_terminal(mirror, "task", "list", "--fields", "unique_id, batch")
    assert heading.split() == ["unique_id", "batch"]
    (heading, only) = on_terminal(mirror, "task", "list", "--since", created(mirror)[0])
    assert only.split()[-1] == created(mirror)[0]


def test_a_pipe_gets_all_in_order_of_keys(mirror: Scalesync) -> None:
    """As ever: every column, uncut; --json whole documents."""
    heading, *rows = mirror("task", "list").out.splitlines()
    assert heading.split() == [
        "task_id", "project", "batch", "type", "status", "created_at", "completed_at", "unique_id"
    ]  # fmt: skip
    ids = [row.split()[0] for row in rows]
    assert (ids, len(ids)) == (sorted(ids), 1_000)
    assert mirror("task", "list", "--limit", "0").out.splitlines() == [heading, *rows]
    assert [each["task_id"] for each in mirror("task", "list", "--json").lines] == ids


def test_lists_are_sorted_by_any_field(mirror: Scalesync) -> None:
    """Up or down, those without one last; what is none, or no plain value, is refused with all there are."""
    found = mirror("task", "list", "--json", "--sort", "-completed_at").lines
    times = [each.get("completed_at") for each in found]
    known = [str(at) for at in times if at is not None]
    assert (known, len(times)) == (sorted(known, reverse=True), 1_000)
    assert times[len(known) :] == [None] * (1_000 - len(known))
    projects = [str(each["name"]) for each in mirror("project", "list", "--json", "--sort", "name").lines]
    assert projects == sorted(projects)
    for name in ("nothing", "params"):
        check_refusal(
            mirror("task", "list", "--sort", name), 2, f"cannot be sorted by '{name}'", "created_at"
        )


def test_lists_have_the_fields_that_are_asked_for(mirror: Scalesync) -> None:
    """In their order, also from within objects; --json has them as an object."""
    words = ("task", "list", "--fields", "status,params.attachment,task_id", "--limit", "3")
    whole = mirror("task", "list", "--json", "--limit", "3").lines
    assert [list(each.values()) for each in mirror(*words, "--json").lines] == [
        [each["status"], each.get("params", {}).get("attachment"), each["task_id"]]  # type: ignore[attr-defined]
        for each in whole
    ]
    assert mirror(*words).out.splitlines()[0].split() == ["status", "params.attachment", "task_id"]
    check_refusal(mirror("task", "list", "--fields", "a,,b"), 2, "--fields has an empty name")


def test_batches_are_listed_with_their_tasks(mirror: Scalesync) -> None:
    """How many are pending and how many completed here; documents have no such fields."""
    counts = {name: [0, 0] for (name,) in execute(mirror.mirror, "SELECT name FROM batches")}
    for batch, status in execute(mirror.mirror, "SELECT batch, status FROM tasks"):
        if batch in counts and status in ("pending", "completed"):
            counts[batch][status == "completed"] += 1
    fields = ("--fields", "name,pending,completed", "--json")
    listed = [list(each.values()) for each in mirror("batch", "list", *fields).lines]
    assert {name: numbers for name, *numbers in listed} == counts
    assert any(sum(each) for each in counts.values())
    heading = mirror("batch", "list").out.splitlines()[0]
    assert heading.split() == ["name", "project", "status", "created_at", "pending", "completed"]
    assert "pending" not in json.dumps([list(each) for each in mirror("batch", "list", "--json").lines])


def test_what_is_only_queued_is_first_on_a_terminal(mirror: Scalesync) -> None:
    """It is the newest; the rest of the screen has what is at Scale."""
    assert mirror("task", "create", "imageannotation", "unique_id=mine", "--project", "p").code == 0
    _, first, *rows = on_terminal(mirror, "task", "list", "--queued", "--fields", "task_id,unique_id")
    assert first.split()[0] == "command"
    assert rows[-1] == "971 more tasks: `--limit 0` lists all."
    assert len(rows) == 30
