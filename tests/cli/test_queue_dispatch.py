"""`scalesync dispatch` and `queue reconcile`: what they send, what they say, and how they end."""

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from scalesync.api import ApiOptions, ScaleApi
from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Scalesync, check_refusal, execute

Start = Callable[..., SandboxServer]

STATES = "SELECT state, count(*) FROM commands GROUP BY state ORDER BY state"
TASKS = 40


def states(scalesync: Scalesync) -> dict[object, object]:
    """Return how many commands are in each state."""
    return dict(execute(scalesync.mirror, STATES))  # type: ignore[arg-type]


def created(server: SandboxServer) -> list[int]:
    """Return how often each unique_id was created."""
    return [
        count
        for kind, _, effect, count in server.backend.applied
        if (kind, effect) == ("unique_id", "created")
    ]


def queue_tasks(scalesync: Scalesync, count: int = TASKS, *more: str) -> None:
    """Queue tasks that nothing else is needed for."""
    path = scalesync.directory / "tasks.jsonl"
    path.write_text("".join(f'{{"number": {number}}}\n' for number in range(count)))
    done = scalesync("task", "create", "textcollection", "--from", path, *more)
    assert done.code == 0, done.err


@pytest.fixture
def server(start_sandbox: Start) -> SandboxServer:
    """Return an empty sandbox without faults."""
    return start_sandbox()


@pytest.fixture
def ready(server: SandboxServer, empty_mirror: Scalesync) -> Scalesync:
    """Return what runs commands beside an empty mirror, against that sandbox."""
    return empty_mirror.having(SCALESYNC_API_URL=server.url)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_all_six_kinds_are_sent_in_order_and_once(
    kind: str, ready: Scalesync, server: SandboxServer, postgres_url: str
) -> None:
    """Submitted offline in one go, dispatched, seen in the mirror without a sync, and never sent again."""
    if kind == "postgres":
        ready = ready.having(SCALESYNC_DB=postgres_url)
    offline = ready.having(SCALE_API_KEY=None)
    for line in (
        "project create P --type textcollection --params {} --studio",
        'project update P --params {"instruction":"new"}',
        "batch create B --project P",
        "task create textcollection --project P --batch B unique_id=one",
        "task create textcollection --project P --batch B unique_id=two",
        "batch finalize B",
        "task create textcollection unique_id=three",
    ):
        assert offline(*line.split()).code == 0

    first = ready("dispatch")
    cancel = offline("task", "cancel", "--unique-id", "three")
    second, third = ready("dispatch", "--json"), ready("-q", "dispatch")

    assert (first.code, cancel.code, second.code) == (0, 0, 0), first.err + second.err
    assert [line.split()[:4] for line in first.out.splitlines()[:2]] == [
        ["delivered", "in", "doubt", "dead"],
        ["7", "0", "0", "0"],
    ]
    assert (second.json["delivered"], second.json["ended"], second.json["sends"]) == (1, "done", 1)
    assert (third.code, third.out, third.err) == (0, "", "")
    effects = {
        (kind, name, effect): count for kind, name, effect, count in server.backend.applied if kind != "task"
    }
    assert effects == {
        ("project", "P", "created"): 1,
        ("project", "P", "versioned"): effects["project", "P", "versioned"],
        ("batch", "B", "created"): 1,
        ("batch", "B", "finalized"): 1,
        **{("unique_id", name, "created"): 1 for name in ("one", "two", "three")},
        ("unique_id", "three", "canceled"): 1,
    }
    tasks = offline("task", "list", "--json").lines
    assert {task["unique_id"]: task["status"] for task in tasks} == {
        "one": "pending",
        "two": "pending",
        "three": "canceled",
    }
    assert offline("batch", "show", "B").json["status"] == "in_progress"
    assert "new" in offline("project", "show", "P").out


def test_a_lost_answer_is_looked_up_and_not_sent_again(ready: Scalesync, server: SandboxServer) -> None:
    """A task, and an update that has no key: each is there once, and the log says how that was found out."""
    ready("task", "create", "textcollection", "unique_id=u")
    server.backend.faults.replace(["applied-then-dropped:100%:times=1@POST /task/*"])

    done = ready("dispatch", "--settle-time", "1s")
    shown = ready("queue", "show", "1")

    assert (done.code, created(server)) == (0, [1])
    assert [word for word in ("delivered", "unknown", "look", "applied") if word not in shown.out] == []


def test_what_the_api_refuses_ends_with_7(ready: Scalesync) -> None:
    """A list is a list and ends with 0, as `status` does; `--check` has it end with 7."""
    ready("batch", "create", "B", "--project", "P")
    ready("project", "create", "P", "--type", "imageannotation", "--params", "{}")
    ready("task", "create", "imageannotation", "--batch", "B", "--project", "P", "n=1")
    ready("batch", "finalize", "B")
    done = ready("dispatch")

    check_refusal(done, 7, "dead", "queue why")
    listed = ready("queue", "list", "--state", "dead")
    machine = ready("queue", "list", "--state", "dead", "--json")
    assert (listed.code, listed.err, "dead" in listed.out) == (0, "", True)
    assert (machine.code, machine.lines[0]["state"], "payload" in machine.lines[0]) == (0, "dead", False)
    check_refusal(ready("queue", "list", "--state", "dead", "--check"), 7, "1 dead")
    check_refusal(ready("queue", "list", "--check"), 7, "dead")
    assert ready("queue", "list", "--state", "delivered", "--check").code == 0
    assert "dead" in ready("status").out
    assert ready("status").code == 0


def test_a_cancel_that_came_too_late_ends_with_0(ready: Scalesync, server: SandboxServer) -> None:
    """It is said once, needs nobody, and the next run, as cron starts it, says nothing."""
    with ScaleApi("live_key", ApiOptions(url=server.url)) as api:
        task = json.loads(bytes(api.create_task("imageannotation", {"attachment": "https://x/1.jpg"}).raw))
    server.backend.complete(task["task_id"])
    ready("task", "cancel", task["task_id"])
    first, again = ready("dispatch"), ready("--quiet", "dispatch")

    assert (first.code, "is discarded: The task was completed before" in first.err) == (0, True)
    assert (again.code, again.out, again.err) == (0, "", "")
    assert ready("queue", "list", "--all", "--check").code == 0
    shown = ready("queue", "list", "--all", "--json").lines[-1]
    assert (shown["state"], shown["outcome"]) == ("discarded", "rejected")


def test_everything_dead_is_discarded(ready: Scalesync) -> None:
    """`queue discard --dead` leaves nothing that needs a person; ids and --dead exclude each other."""
    for number in range(3):
        ready("task", "create", "imageannotation", f"n={number}")
    check_refusal(ready("dispatch"), 7, "3 dead")
    check_refusal(ready("queue", "discard"), 2, "--dead")
    check_refusal(ready("queue", "discard", "1", "--dead"), 2, "--dead")
    done = ready("queue", "discard", "--dead", "--json")
    nothing = ready("queue", "discard", "--dead")

    assert done.code == 0
    answers = done.json["answers"]
    assert isinstance(answers, list)
    assert [answer["answer"] for answer in answers] == ["discarded"] * 3
    assert (nothing.code, nothing.out) == (0, "no command is dead\n")
    assert ready("dispatch").code == 0


def test_a_dead_task_is_retried_or_discarded(ready: Scalesync, server: SandboxServer) -> None:
    """A finalize waits for it and `why` says so; afterwards it is sent."""
    ready("project", "create", "P", "--type", "imageannotation", "--params", "{}", "--studio")
    ready("batch", "create", "B", "--project", "P")
    ready("task", "create", "imageannotation", "--batch", "B", "--project", "P", "n=1")
    ready("batch", "finalize", "B")

    first = ready("dispatch")
    why = ready("queue", "why", "4")
    retried = ready("queue", "retry", "--dead")
    again = ready("dispatch")
    discarded = ready("queue", "discard", "3")
    last = ready("dispatch")

    check_refusal(first, 7, "1 dead")
    assert "command 3" in first.err
    assert why.out.splitlines()[0].startswith("command 4, finalize_batch B, is blocked")
    assert why.out.splitlines()[1].startswith("which waits for command 3, create_task")
    assert (retried.code, "1 command" in retried.out, again.code) == (0, True, 7)
    assert (discarded.code, discarded.out, last.code) == (0, "command 3 is discarded\n", 0)
    assert server.backend.applied.count("batch", "B", "finalized") == 1


def test_a_refused_key_closes_the_gate_and_gives_nothing_up(
    start_sandbox: Start, empty_mirror: Scalesync
) -> None:
    """Exit code 3, again until somebody resumes; with the right key all is sent."""
    server = start_sandbox(keys=frozenset({"live_right"}))
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url, SCALE_API_KEY="live_right")
    queue_tasks(ready, 3)
    wrong = ready.having(SCALE_API_KEY="live_wrong")

    refused, again = wrong("dispatch"), wrong("dispatch")
    stamped_elsewhere = ready("dispatch")

    check_refusal(refused, 3, "401", "queue resume")
    check_refusal(again, 3, "401", "queue resume")
    check_refusal(stamped_elsewhere, 5, "another key")
    assert states(ready) == {"queued": 3}
    assert ready("init", "--adopt").code == 0
    assert ready("queue", "resume").code == 0
    assert (ready("dispatch").code, states(ready)) == (0, {"delivered": 3})


def test_another_account_is_refused(mirror: Scalesync) -> None:
    """Exit code 5, before anything is sent."""
    queue_tasks(mirror, 1)

    check_refusal(mirror.having(SCALE_API_KEY="live_other")("dispatch"), 5, "another key", "--adopt")
    check_refusal(mirror.having(SCALE_API_KEY="test_other")("dispatch"), 5, "test key")
    check_refusal(mirror.having(SCALE_API_KEY=None)("dispatch"), 2, "No API key")
    assert states(mirror) == {"queued": 1}


def test_an_api_that_is_away_ends_with_4_and_nothing_is_lost(empty_mirror: Scalesync) -> None:
    """It is not counted against the commands, and they are sent once it is back."""
    away = empty_mirror.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1", SCALESYNC_PATIENCE="1s")
    queue_tasks(away, 2)

    done = away("dispatch")

    check_refusal(done, 4, "127.0.0.1:9", "stays queued")
    assert "trying again" in done.err
    assert execute(away.mirror, "SELECT state, failures FROM commands") == [("queued", 0)] * 2


def test_a_pause_holds_everybody_until_somebody_resumes(ready: Scalesync) -> None:
    """Exit code 1, with the reason; `status` shows it."""
    queue_tasks(ready, 2)
    paused = ready("queue", "pause", "--reason", "end of month")

    check_refusal(ready("dispatch"), 1, "end of month", "queue resume")
    assert "end of month" in paused.out
    assert "end of month" in ready("status").out
    assert ready("queue", "resume").code == 0
    assert (ready("dispatch").code, states(ready)) == (0, {"delivered": 2})


def test_a_long_rest_is_not_waited_for(ready: Scalesync, server: SandboxServer) -> None:
    """Exit code 4 if the API asked for it, 1 if a person did; the reason is said, and nothing is lost."""
    queue_tasks(ready, 1)
    server.backend.faults.replace(["429:100%:retry-after=600"])

    rest = ready("--patience", "1s", "dispatch")
    ready("queue", "pause", "--for", "2h", "--reason", "lunch")
    pause = ready("--patience", "1s", "dispatch")

    check_refusal(rest, 4, "429", " min", "stays queued")
    check_refusal(pause, 1, "lunch", "2.0 h", "queue resume")
    assert execute(ready.mirror, "SELECT state, failures FROM commands") == [("queued", 0)]


def test_a_short_pause_ends_by_itself(ready: Scalesync) -> None:
    """Within its patience a dispatch waits for it."""
    queue_tasks(ready, 1)
    ready("queue", "pause", "--for", "1s")

    assert (ready("dispatch").code, states(ready)) == (0, {"delivered": 1})


def test_max_is_honoured_and_says_what_is_left(ready: Scalesync) -> None:
    """It ends with 0."""
    queue_tasks(ready, 5)
    done = ready("dispatch", "--max", "2")

    assert (done.code, "3 commands are open" in done.out) == (0, True)
    assert states(ready) == {"delivered": 2, "queued": 3}


def test_a_dry_run_shows_what_is_ready_and_sends_nothing(ready: Scalesync, server: SandboxServer) -> None:
    """Without a key."""
    queue_tasks(ready, 2)
    ready("batch", "create", "B", "--project", "P")
    ready("batch", "finalize", "B")
    done = ready.having(SCALE_API_KEY=None)("dispatch", "--dry-run")
    machine = ready("dispatch", "--dry-run", "--json").json

    assert (done.code, "3 commands at once" in done.out) == (0, True)
    assert isinstance(machine["commands"], list)
    assert [command["id"] for command in machine["commands"]] == [1, 2, 3]
    assert (states(ready), sum(server.backend.requests.values())) == ({"queued": 4}, 0)


def test_priorities_go_first(ready: Scalesync) -> None:
    """Lower numbers before higher ones, whenever they were queued."""
    queue_tasks(ready, 3)
    ready("task", "create", "textcollection", "unique_id=urgent", "--priority", "-1")
    ready("dispatch", "--max", "1")

    assert execute(ready.mirror, "SELECT resource FROM commands WHERE state = 'delivered'") == [
        ("task:urgent",)
    ]


def test_a_signal_ends_a_dispatch_with_130_and_the_next_goes_on(
    ready: Scalesync, server: SandboxServer
) -> None:
    """What was being sent is settled: nothing is in doubt, and nothing is sent twice."""
    queue_tasks(ready)
    server.backend.faults.replace(["latency:150ms"])
    with ready.started("dispatch", "--workers", "2") as process:
        _wait_for(process, lambda: states(ready).get("delivered", 0) not in (0, 1))
        process.send_signal(signal.SIGTERM)
        done = ready.ended(process)
    server.backend.faults.replace([])

    check_refusal(done, 130, "what was being sent is settled", "scalesync dispatch")
    assert "requests in hand" in done.err
    assert set(states(ready)) == {"delivered", "queued"}
    assert (ready("dispatch").code, states(ready)) == (0, {"delivered": TASKS})
    assert created(server) == [1] * TASKS


def test_two_dispatches_at_once_share_the_work(ready: Scalesync, server: SandboxServer) -> None:
    """Each task is created once, and both end with 0."""
    queue_tasks(ready)
    server.backend.faults.replace(["latency:30ms"])
    with (
        ready.started("dispatch", "--workers", "2") as one,
        ready.started("dispatch", "--workers", "2") as other,
    ):
        first, second = ready.ended(one), ready.ended(other)

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert created(server) == [1] * TASKS
    assert states(ready) == {"delivered": TASKS}


def test_what_another_dispatch_is_sending_is_left_to_it(ready: Scalesync, server: SandboxServer) -> None:
    """The second one ends with 0 at once, for nothing is left for it to do or for a person."""
    queue_tasks(ready, 1)
    server.backend.faults.replace(["latency:2500ms"])
    with ready.started("dispatch") as process:
        _wait_for(process, lambda: states(ready) == {"sending": 1})
        second = ready("--patience", "1s", "dispatch")
        first = ready.ended(process)

    assert (second.code, "1 command is open" in second.out, first.code) == (0, True, 0)


def test_a_watching_dispatch_takes_what_comes(ready: Scalesync, server: SandboxServer) -> None:
    """It waits, sends what is queued meanwhile, also while a sync runs, and ends on SIGTERM."""
    with ready.started("dispatch", "--watch") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        queue_tasks(ready, 3)
        synced = ready("sync")
        _wait_for(process, lambda: states(ready) == {"delivered": 3})
        process.send_signal(signal.SIGTERM)
        done = ready.ended(process)

    assert ("waiting for work" in said, synced.code, done.code) == (True, 0, 130)
    assert created(server) == [1] * 3


def test_reconcile_asks_and_never_sends(ready: Scalesync, server: SandboxServer) -> None:
    """What is there is settled; what is not there stays in doubt, exit code 7, until it is dispatched."""
    for unique_id in ("there", "lost"):
        server.backend.faults.replace(
            ["applied-then-dropped:100%@POST /task/*" if unique_id == "there" else "reset:100%@POST /task/*"]
        )
        ready("task", "create", "textcollection", f"unique_id={unique_id}")
        ready("--patience", "0.1s", "dispatch")
    server.backend.faults.replace([])
    before = dict(server.backend.requests)

    done = ready("queue", "reconcile")

    check_refusal(done, 7, "1 in doubt")
    assert server.backend.requests["POST /task/{type}"] == before["POST /task/{type}"]
    assert states(ready) == {"delivered": 1, "in_doubt": 1}
    assert (ready("dispatch", "--settle-time", "0").code, states(ready)) == (0, {"delivered": 2})
    assert created(server) == [1, 1]


def test_a_restored_backup_is_asked_about_before_anything_is_sent(
    ready: Scalesync, server: SandboxServer
) -> None:
    """After `queue distrust` the commands that the backup calls unsent are found to be there."""
    queue_tasks(ready, 3)
    backup = ready.mirror.read_bytes()
    ready("dispatch")
    ready.mirror.write_bytes(backup)

    distrusted = ready("queue", "distrust")
    done = ready("dispatch", "--settle-time", "0")

    assert (distrusted.code, "3 commands" in distrusted.out) == (0, True)
    assert (done.code, states(ready), created(server)) == (0, {"delivered": 3}, [1, 1, 1])


def test_a_sealed_queue_says_too_late(ready: Scalesync) -> None:
    """Discarding what is done ends with 1 and names the command that undoes it."""
    ready("task", "create", "textcollection", "unique_id=u")
    ready("dispatch")

    done = ready("queue", "discard", "1")

    check_refusal(done, 1, "Too late for 1")
    assert "scalesync task cancel" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("dispatch --max 0", "--max"),
        ("dispatch --workers 0", "--workers"),
        ("dispatch --rate 0", "--rate"),
        ("dispatch --rate fast", "--rate"),
        ("dispatch --rate nan", "--rate"),
        ("dispatch --rate inf", "--rate"),
        ("dispatch --rate 1e308", "from 0.05 to 1,000,000"),
        ("dispatch --rate 0.001", "from 0.05 to 1,000,000"),
        ("dispatch --rate 0.049 --dry-run", "from 0.05 to 1,000,000"),
        ("dispatch --rate 1 --timeout 2s", "from 1.5 to 1,000,000"),
        ("dispatch --timeout soon", "--timeout"),
        ("dispatch --timeout 0", "time"),
        ("dispatch --settle-time -1s", "--settle-time"),
        ("dispatch everything", "everything"),
        ("queue reconcile --timeout x", "--timeout"),
    ],
)
def test_bad_input_ends_with_2_and_sends_nothing(
    arguments: str, words: str, ready: Scalesync, server: SandboxServer
) -> None:
    """One clear sentence each."""
    queue_tasks(ready, 1)

    check_refusal(ready(*arguments.split()), 2, words)
    assert (states(ready), sum(server.backend.requests.values())) == ({"queued": 1}, 0)


def test_a_rate_from_the_environment_is_held_to_the_same_bounds(
    ready: Scalesync, server: SandboxServer
) -> None:
    """Too low a one is refused and pauses nobody; the least one sends."""
    queue_tasks(ready, 1)

    check_refusal(ready.having(SCALESYNC_DISPATCH_RATE="0.001")("dispatch"), 2, "from 0.05")
    assert (states(ready), sum(server.backend.requests.values())) == ({"queued": 1}, 0)
    assert ready.having(SCALESYNC_DISPATCH_RATE="0.05")("dispatch").code == 0
    assert states(ready) == {"delivered": 1}


def _wait_for(process: "subprocess.Popen[str]", reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
