"""Queueing from the command line: offline, all or nothing, and nothing twice."""

import json
import subprocess

import pytest

from tests.support.cli_process import COMMAND, Scalesync, check_refusal, execute
from tests.support.sandboxes import LIVE_KEY

BOX = '{"instruction": "Box every car."}'


@pytest.fixture
def offline(empty_mirror: Scalesync) -> Scalesync:
    """Return what runs commands beside an empty mirror, without a key and with an API that is not there."""
    return empty_mirror.having(SCALE_API_KEY=None, SCALESYNC_API_URL="http://127.0.0.1:9/v1")


def payloads(scalesync: Scalesync) -> list[dict[str, object]]:
    """Return the payloads of all commands, oldest first."""
    return [
        json.loads(str(row[0]))
        for row in execute(scalesync.mirror, "SELECT payload FROM commands ORDER BY id")
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("task", "create"), "TYPE"),
        (("task", "create", "annotation"), "KEY=VALUE"),
        (("task", "create", "annotation", "oops"), "neither KEY=VALUE nor KEY:=JSON"),
        (("task", "create", "annotation", "=x"), "neither KEY=VALUE"),
        (("task", "create", "annotation", "a:={"), "not JSON"),
        (("task", "create", "annotation", "a=1", "a=2"), "'a' is given twice"),
        (("task", "create", "annotation", "project=P", "--project", "Q"), "'project' is given twice"),
        (("task", "create", "annotation", "unique_id:=7"), "unique_id must be a text"),
        (("task", "create", "annotation", "a=1", "--unique-id-field", "id"), "'id'"),
        (("task", "create", " ", "a=1"), "task type"),
        (("task", "create", "annotation", "--from", "nowhere.jsonl"), "nowhere.jsonl"),
        (("task", "create", "annotation", "--from", "."), "directory"),
        (("task", "create", "annotation", "a=1", "--priority", "high"), "--priority"),
        (("task", "cancel"), "exactly one"),
        (("task", "cancel", "id", "--batch", "b"), "exactly one"),
        (("task", "cancel", "--batch", "no such"), "no batch 'no such'"),
        (("task", "cancel", "--unique-id", ""), "--unique-id"),
        (("batch", "create", "b"), "--project"),
        (("batch", "create", "", "--project", "P"), "NAME"),
        (("batch", "create", "b", "--project", "P", "--metadata", "[1]"), "[1]"),
        (("batch", "create", "b", "--project", "P", "--metadata", "{"), "not JSON"),
        (("batch", "finalize"), "NAME"),
        (("batch", "finalize", ".."), "cannot be sent"),
        (("project", "create", "P", "--params", BOX), "--type"),
        (("project", "create", "P", "--type", "annotation"), "--params"),
        (("project", "create", "P", "--type", "annotation", "--params", "none.json"), "none.json"),
        (
            ("project", "create", "P", "--type", "a", "--params", "{}", "--rapid", "--studio"),
            "--rapid or --studio",
        ),
        (("project", "update", "P"), "--params"),
        (("project", "update", "P", "--params", '"text"'), "text"),
    ],
    ids=" ".join,
)
def test_bad_input_ends_with_2_and_queues_nothing(
    arguments: tuple[str, ...], words: str, offline: Scalesync
) -> None:
    """One clear sentence each."""
    check_refusal(offline(*arguments), 2, words)

    assert payloads(offline) == []


def test_every_command_that_queues_works_offline(offline: Scalesync) -> None:
    """All six kinds, without a key: what is queued is what was asked for, in order, and ids are printed."""
    (offline.directory / "params.json").write_text(BOX)
    lines = [
        "project create P --type imageannotation --params params.json --studio",
        "batch create B --project P --callback https://example.com/done --calibration --self-label",
        "task create imageannotation --project P --batch B attachment=https://example.com/1.jpg n:=1 t=a=b",
        "batch finalize B",
        "project update P --patch --params params.json",
        "task cancel 65a1b2c3d4e5f60718293a4b --clear-unique-id",
    ]
    done = [offline(*line.split()) for line in lines]

    assert [(each.code, each.out, each.err) for each in done] == [
        (0, f"1 command queued: {number}\n", "") for number in range(1, 7)
    ]
    params = {"instruction": "Box every car."}
    queued = payloads(offline)
    assert queued[0] == {"name": "P", "type": "imageannotation", "params": params, "studio": True}
    assert queued[1] == {
        "name": "B",
        "project": "P",
        "callback": "https://example.com/done",
        "calibration_batch": True,
        "self_label_batch": True,
    }
    body = queued[2]["body"]
    assert isinstance(body, dict)
    assert (body["n"], body["t"], body["project"], body["batch"]) == (1, "a=b", "P", "B")
    assert queued[3:5] == [{"name": "B"}, {"name": "P", "params": params, "patch": True}]
    assert queued[5]["clear_unique_id"] is True


def test_the_same_command_again_queues_nothing(offline: Scalesync) -> None:
    """It says which command is there already; with other content under the same name it is refused."""
    create = ("task", "create", "annotation", "unique_id=u", "n=1")

    first, again = offline(*create), offline(*create)
    other = offline("task", "create", "annotation", "unique_id=u", "n=2")
    another = offline(*create, "--allow-duplicates")

    assert (first.out, again.out) == ("1 command queued: 1\n", "1 was queued before: 1\n")
    check_refusal(other, 2, "command 1", "differs in body.n")
    assert another.out == "1 was queued before: 1\n"
    assert len(payloads(offline)) == 1


def test_without_a_unique_id_the_content_decides(offline: Scalesync) -> None:
    """The same content is one task, unless duplicates are allowed."""
    create = ("task", "create", "annotation", "n=1", "--json")

    answers = [offline(*create).json, offline(*create).json, offline(*create, "--allow-duplicates").json]

    assert [answer["queued"] for answer in answers] == [[1], [], [2]]
    assert answers[1] == {"queued": [], "already_queued": [1], "already_mirrored": [], "withdrawn": []}


def test_what_the_mirror_holds_is_not_queued(mirror: Scalesync) -> None:
    """It is named by its task id; the same unique_id for another project is refused."""
    query = "SELECT task_id, unique_id, type, project FROM tasks WHERE unique_id IS NOT NULL LIMIT 1"
    task_id, unique_id, task_type, project = map(str, execute(mirror.mirror, query)[0])

    same = mirror("task", "create", task_type, f"unique_id={unique_id}", "--project", project)
    other = mirror("task", "create", task_type, f"unique_id={unique_id}", "--project", "Another")

    assert (same.code, same.out) == (0, f"1 is in the mirror already: {task_id}\n")
    check_refusal(other, 2, unique_id)
    assert payloads(mirror) == []


def test_a_file_is_queued_whole_or_not_at_all(offline: Scalesync) -> None:
    """Each bad line is named on stderr by its number and reason; corrected, all of it is queued."""
    path = offline.directory / "tasks.jsonl"
    path.write_text('{"id": 1, "n": 1}\noops\n\n{"n": 3}\n{"id": 1, "n": 4}\n')
    create = (
        "task",
        "create",
        "annotation",
        "--from",
        path,
        "--unique-id-field",
        "id",
        "--batch",
        "B",
        "x=y",
    )

    bad = offline(*create)
    path.write_text('{"id": 1, "n": 1}\n\n{"id": 2, "n": 2, "batch": "C"}\n')
    good, again = offline(*create), offline(*create)

    check_refusal(bad, 2, "3 of 4", "nothing was")
    assert [line.split(":")[0] for line in bad.err.splitlines()[:3]] == ["line 2", "line 4", "line 5"]
    assert "Number 1 has the same unique_id '1'" in bad.err
    assert (good.out, again.out) == ("2 commands queued: 1-2\n", "2 were queued before: 1-2\n")
    bodies = [payload["body"] for payload in payloads(offline)]
    assert bodies == [
        {"id": 1, "n": 1, "batch": "B", "x": "y", "unique_id": "1"},
        {"id": 2, "n": 2, "batch": "C", "x": "y", "unique_id": "2"},
    ]


def test_lines_come_from_stdin_too(offline: Scalesync) -> None:
    """With `--from -`; the params of a project with `--params -`."""

    def piped(text: str, *arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=offline.directory,
            env=offline.environment(),
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert (
        piped('{"n": 1}\n{"n": 2}', "task", "create", "annotation", "--from", "-")
        == "2 commands queued: 1-2\n"
    )
    assert "3" in piped(BOX, "project", "create", "P", "--type", "annotation", "--params", "-")
    assert payloads(offline)[2]["params"] == {"instruction": "Box every car."}


def test_a_sealed_batch_takes_nothing_more(offline: Scalesync) -> None:
    """Neither one task nor a line of a file, and the reason is said."""
    (offline.directory / "one.jsonl").write_text('{"batch": "B", "n": 2}\n')
    offline("batch", "finalize", "B")

    check_refusal(offline("task", "create", "annotation", "n=1", "--batch", "B"), 2, "B", "finalize")
    from_file = offline("task", "create", "annotation", "--from", "one.jsonl")
    check_refusal(from_file, 2, "nothing was")
    assert "line 1:" in from_file.err


def test_canceling_what_was_never_sent_withdraws_it(offline: Scalesync) -> None:
    """By unique_id, and a batch as a whole; a batch without anything to cancel says so and ends with 0."""
    (offline.directory / "tasks.jsonl").write_text("".join(f'{{"n": {n}, "batch": "B"}}\n' for n in range(3)))
    offline("task", "create", "annotation", "unique_id=u")
    offline("task", "create", "annotation", "--from", "tasks.jsonl")

    one = offline("task", "cancel", "--unique-id", "u")
    batch = offline("task", "cancel", "--batch", "B")
    again = offline("task", "cancel", "--batch", "B")

    assert (one.code, "never sent" in one.out, "1" in one.out) == (0, True, True)
    assert (batch.code, "3 were never sent" in batch.out) == (0, True)
    assert (again.code, again.out) == (0, "0 commands queued\n")
    assert execute(offline.mirror, "SELECT DISTINCT state FROM commands") == [("discarded",)]


def test_canceling_a_mirrored_batch_takes_its_pending_tasks(mirror: Scalesync) -> None:
    """Each of them once, however often it is asked for."""
    query = "SELECT batch, count(*) FROM tasks WHERE status = 'pending' AND batch IS NOT NULL GROUP BY batch"
    name, pending = execute(mirror.mirror, query)[0]

    first = mirror("task", "cancel", "--batch", str(name), "--json").json
    again = mirror("task", "cancel", "--batch", str(name), "--json").json

    assert isinstance(first["queued"], list)
    assert (len(first["queued"]), again["queued"]) == (pending, [])
    assert again["already_queued"] == first["queued"]


def test_queued_tasks_are_listed_beside_mirrored_ones(mirror: Scalesync) -> None:
    """Marked as what they are, with the same filters; without --queued only what is at Scale is listed."""
    project = "Street scenes"
    mirror("task", "create", "imageannotation", "unique_id=new one", "--project", project)
    mirror("task", "create", "imageannotation", "unique_id=elsewhere", "--project", "Other")

    shown = mirror("task", "list", "--project", project, "--queued")
    without = mirror("task", "list", "--project", project)
    lines = mirror("task", "list", "--project", project, "--queued", "--json").lines

    queued = [line for line in shown.out.splitlines() if "new one" in line]
    assert (len(queued), "queued" in queued[0]) == (1, True)
    assert ("elsewhere" in shown.out, "new one" in without.out) == (False, False)
    assert [line["unique_id"] for line in lines if "command_id" in line] == ["new one"]


def test_quiet_says_nothing_and_json_always_answers(offline: Scalesync) -> None:
    """What was asked for with --json is printed all the same."""
    quiet = offline("-q", "batch", "create", "B", "--project", "P")
    machine = offline("-q", "batch", "create", "C", "--project", "P", "--json")

    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert machine.json["queued"] == [2]


def test_names_of_any_script_and_length_can_be_queued(offline: Scalesync) -> None:
    """What people write is what is kept."""
    name = "Straße/東京 & 100% \\ ?#"

    assert offline("batch", "create", name, "--project", name * 20).code == 0
    assert payloads(offline) == [{"name": name, "project": name * 20}]


def test_no_mirror_is_said_before_lines_are_read(scalesync: Scalesync) -> None:
    """Nobody pipes for an hour to learn that."""
    (scalesync.directory / "bad.jsonl").write_text("oops")

    check_refusal(scalesync("task", "create", "annotation", "--from", "bad.jsonl"), 5, "No mirror", "init")


def test_the_key_is_in_no_output(empty_mirror: Scalesync) -> None:
    """Whatever is queued and shown."""
    keyed = empty_mirror
    keyed("task", "create", "annotation", "n=1")
    shown = keyed("queue", "show", "1")

    assert (shown.code, LIVE_KEY in shown.out + shown.err) == (0, False)
