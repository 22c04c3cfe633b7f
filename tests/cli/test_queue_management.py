"""Seeing and mending the queue, offline."""

import pytest

from tests.support.cli_process import Scalesync, check_refusal, execute


@pytest.fixture
def queued(empty_mirror: Scalesync) -> Scalesync:
    """Return what runs commands, without a key, beside a project, a batch, two tasks and a finalize."""
    offline = empty_mirror.having(SCALE_API_KEY=None)
    lines = ('{"unique_id": "one", "secret": "in the payload"}\n', '{"unique_id": "two"}\n')
    (offline.directory / "tasks.jsonl").write_text("".join(lines))
    for line in (
        "project create P --type textcollection --params {}",
        "batch create B --project P",
        "task create textcollection --project P --batch B --from tasks.jsonl",
        "batch finalize B",
    ):
        assert offline(*line.split()).code == 0
    return offline


def states(scalesync: Scalesync) -> list[object]:
    """Return the state of each command, oldest first."""
    return [row[0] for row in execute(scalesync.mirror, "SELECT state FROM commands ORDER BY id")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("queue list --state lost", "--state"),
        ("queue list --kind eat_task", "--kind"),
        ("queue list --limit 0", "--limit"),
        ("queue show", "ID"),
        ("queue show x", "ID"),
        ("queue show 99", "no command 99"),
        ("queue why 99", "no command 99"),
        ("queue retry", "one of the two"),
        ("queue retry 1 --dead", "one of the two"),
        ("queue retry 99", "no command 99"),
        ("queue retry 1", "only what is dead or held"),
        ("queue discard", "ids, or all --dead"),
        ("queue discard 3 99", "no command 99"),
        ("queue pause --for never", "--for"),
        ("queue pause --for 0s", "at least one second"),
        ("queue pause --for 0.999s", "at least one second"),
        ("queue pause --reason=", "--reason"),
        ("queue resume now", "now"),
        ("queue nothing", "nothing"),
    ],
)
def test_bad_input_ends_with_2_and_changes_nothing(arguments: str, words: str, queued: Scalesync) -> None:
    """One clear sentence each."""
    check_refusal(queued(*arguments.split()), 2, words)

    assert states(queued) == ["queued"] * 5
    gate = execute(queued.mirror, "SELECT paused_until, pause_reason FROM dispatch_gate")
    assert gate == [(None, None)]


def test_the_list_says_what_each_command_waits_for(queued: Scalesync) -> None:
    """By the very conditions under which it cannot be sent; filters choose."""
    rows = [line.split(maxsplit=5) for line in queued("queue", "list").out.splitlines()[1:]]
    creates = queued("queue", "list", "--kind", "create_task", "--batch", "B", "--json").lines
    ready = queued("queue", "list", "--state", "ready", "--json").lines

    assert [row[3] for row in rows] == ["ready", "blocked", "blocked", "blocked", "blocked"]
    assert [word in row[5] for row, word in zip(rows[1:], ("1", "2", "2", "2"), strict=True)] == [True] * 4
    assert [(create["id"], create["waits_for"]) for create in creates] == [(3, 2), (4, 2)]
    assert [command["id"] for command in ready] == [1]
    assert len(queued("queue", "list", "--limit", "2").out.splitlines()) == 3


def test_payloads_are_shown_by_show_alone(queued: Scalesync) -> None:
    """There with every step; nowhere else, in no format."""
    shown, machine = queued("queue", "show", "3"), queued("queue", "show", "3", "--json").json
    others = [
        queued("-v", *line.split()).out + queued("-v", *line.split()).err
        for line in (
            "queue list",
            "queue list --json",
            "queue why 3 --json",
            "status",
            "dispatch --dry-run --json",
        )
    ]

    assert ("in the payload" in shown.out, machine["payload"]["body"]["secret"]) == (True, "in the payload")  # type: ignore[index]
    assert machine["why"] == [3, 2, 1]
    assert "in the payload" not in "".join(others)


def test_why_leads_to_the_root(queued: Scalesync) -> None:
    """A line for each command on the way."""
    lines = queued("queue", "why", "5").out.splitlines()

    assert [line.split(",")[0].split()[-1] for line in lines] == ["5", "2", "1"]
    assert lines[-1].endswith("is ready")


def test_a_discard_takes_what_hangs_on_it(queued: Scalesync) -> None:
    """It says which; a discarded finalize opens its batch again."""
    queued("queue", "discard", "5")
    more = queued("task", "create", "textcollection", "--project", "P", "--batch", "B", "n=3")
    done = queued("queue", "discard", "1", "--json").json

    assert more.code == 0
    assert done["answers"] == [
        {"command_id": 1, "answer": "discarded", "also": [2, 3, 4, 6], "instead": None}
    ]
    assert states(queued) == ["discarded"] * 6


def test_discarding_is_all_or_nothing(queued: Scalesync) -> None:
    """An unknown id among them, and none is discarded."""
    check_refusal(queued("queue", "discard", "4", "3", "99"), 2, "no command 99")

    assert states(queued) == ["queued"] * 5


def test_a_longer_pause_is_not_shortened(queued: Scalesync) -> None:
    """What is printed is what is in force."""
    first = queued("queue", "pause", "--for", "2h", "--reason", "holidays", "--json").json
    second = queued("queue", "pause", "--for", "5m", "--json").json
    queued("queue", "resume")
    gate = queued("status", "--json").json["gate"]

    assert isinstance(second["seconds"], float)
    assert (first["paused"], second["seconds"] > 7000) == (True, True)
    assert gate == {"paused": False, "seconds": None, "reason": None, "paused_by": None}


def test_status_shows_the_queue(queued: Scalesync) -> None:
    """How many commands are open and how old; it ends with 0 whatever they need."""
    shown, machine = queued("status"), queued("status", "--json").json

    assert (shown.code, "5 commands are open, the oldest" in shown.out) == (0, True)
    assert machine["queue"] == {
        "open": 5,
        "by_state": {"queued": 5},
        "oldest_seconds": machine["queue"]["oldest_seconds"],  # type: ignore[index]
        "dead": 0,
        "in_doubt": 0,
        "held": 0,
        "held_in_doubt": 0,
    }


def test_without_a_queue_the_lists_are_empty(empty_mirror: Scalesync) -> None:
    """And nothing needs a person."""
    empty = empty_mirror
    done, status = empty("queue", "list"), empty("status")

    assert (done.code, done.out.split()) == (0, ["id", "kind", "name", "state", "sends", "reason"])
    assert "queue:" not in status.out
