"""What the commands show that look at the mirror, and `check`, which looks at everything."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.sandboxes import LIVE_KEY

Documents = list[dict[str, object]]


def served(server: SandboxServer, stream: str) -> Documents:
    """Return the sandbox's documents, in order of their keys."""
    key = "task_id" if stream == "tasks" else "name"
    documents = [json.loads(document) for document in server.backend.documents(stream)]
    return sorted(documents, key=lambda document: str(document[key]))


def by_key(documents: Documents, key: str) -> Documents:
    """Return documents in order of their keys, without what differs at every read."""
    for document in documents:
        document.pop("attachmentS3Downloads", None)
    return sorted(documents, key=lambda document: str(document[key]))


@pytest.mark.parametrize("stream", ["tasks", "batches", "projects"])
def test_export_gives_the_documents_back(
    stream: str, synced: Scalesync, shared_sandbox: SandboxServer
) -> None:
    """Every document of the account, as JSON, equal to what the API holds."""
    key = "task_id" if stream == "tasks" else "name"

    assert by_key(synced("export", stream).lines, key) == by_key(served(shared_sandbox, stream), key)


def test_export_writes_a_file_for_its_owner_only(mirror: Scalesync) -> None:
    """Through a link to the file behind it; what was there is replaced; a device stays one."""
    path = mirror.directory / "tasks.jsonl"
    path.write_text("the old one")
    path.chmod(0o644)
    (mirror.directory / "link").symlink_to("tasks.jsonl")

    done = mirror("export", "tasks", "--limit", "7", "-o", "link")
    device = mirror("-q", "export", "tasks", "-o", os.devnull)

    assert (done.code, done.out, done.err) == (0, "", "7 tasks in link\n")
    assert (len(path.read_text().splitlines()), stat.S_IMODE(path.stat().st_mode)) == (7, 0o600)
    assert (device.code, device.err, stat.S_ISCHR(os.stat(os.devnull).st_mode)) == (0, "", True)  # noqa: PTH116


def test_status_says_whose_annotations_are_still_to_be_fetched(synced: Scalesync) -> None:
    """As many files as responses name, each once: until they are here, annotations are not complete."""
    asked = "SELECT count(*) FROM result_files"
    wanted = synced("status", "--json").json["result_files_wanted"]

    assert [(wanted,)] == execute(synced.mirror, asked) != [(0,)]
    assert f"{wanted} result files are not fetched yet" in synced("status").out


def test_lists_choose_by_their_filters(synced: Scalesync, shared_sandbox: SandboxServer) -> None:
    """Each filter alone and all together; `--since` is inclusive, `--until` is not."""
    tasks = served(shared_sandbox, "tasks")
    some = next(task for task in tasks if task.get("batch") and task["status"] == "completed")
    wanted = {name: str(some[name]) for name in ("project", "batch", "status", "type")}
    at = str(some["created_at"])
    chosen = [word for name, value in wanted.items() for word in (f"--{name}", value)]

    together = synced("task", "list", "--json", *chosen).lines
    since = synced("task", "list", "--json", "--since", at).lines
    until = synced("task", "list", "--json", "--until", at).lines
    limited = synced("task", "list", "--limit", "3").out.splitlines()

    assert [task["task_id"] for task in together] == [
        task["task_id"] for task in tasks if wanted.items() <= task.items()
    ]
    assert (len(tasks), True) == (len(since) + len(until), some["task_id"] in [t["task_id"] for t in since])
    assert (len(limited), limited[0].split()[0]) == (4, "task_id")


def test_single_objects_are_shown_as_they_are(synced: Scalesync, shared_sandbox: SandboxServer) -> None:
    """A task, a batch and a project by their keys, whatever characters a name has."""
    for stream, command, key in (("tasks", "task", "task_id"), ("batches", "batch", "name")):
        one = served(shared_sandbox, stream)[-1]
        assert by_key([synced(command, "show", str(one[key])).json], key) == by_key([one], key)
    assert synced("project", "show", "Straßen & 東京").json["name"] == "Straßen & 東京"


def test_the_status_of_a_batch_comes_from_the_api(synced: Scalesync, shared_sandbox: SandboxServer) -> None:
    """Its own counts of tasks, also for a name with a slash; an unknown name is said to be one."""
    tasks = served(shared_sandbox, "tasks")
    name = next(str(task["batch"]) for task in tasks if "/" in str(task.get("batch")))
    done = synced("batch", "status", name, "--json")

    pending = sum(1 for task in tasks if task.get("batch") == name and task["status"] == "pending")
    assert (0, pending) == (done.code, done.json["pending"])
    assert "completed" in synced("batch", "status", name).out
    check_refusal(synced("batch", "status", "none"), 2, "no batch 'none'", "batch list")


def test_status_tells_what_is_here_and_how_far_behind(synced: Scalesync) -> None:
    """Rows by status, the time up to which each stream is complete, and the runs."""
    shown = synced("status")

    lines = [line.split() for line in shown.out.splitlines()]
    assert f"{synced.mirror} (live account, " in shown.out
    assert [line[:2] for line in lines if line and line[0] in {"tasks", "batches"}] == [
        ["tasks", "1,000"],
        ["batches", lines[4][1]],
    ]
    assert "full" in shown.out
    assert "complete" in shown.out
    assert shown.err == ""


def test_status_for_machines_holds_the_same(synced: Scalesync) -> None:
    """The keys are documented by this test; times look as in the API's documents."""
    status = synced("status", "--json").json

    assert set(status) == {
        "database",
        "account",
        "replaced_responses",
        "replaced_response_bytes",
        "rows",
        "watermarks",
        "behind_seconds",
        "open_windows",
        "runs",
        "queue",
        "gate",
        "result_files_wanted",
        "result_files_unread",
        "responses_unread",
        "verified",
        "proven",
    }
    watermarks, behind = status["watermarks"], status["behind_seconds"]
    assert isinstance(watermarks, dict)
    assert isinstance(behind, dict)
    assert set(watermarks) == set(behind) == {"tasks", "batches", "projects"}
    assert all(seconds >= 0 for seconds in behind.values())
    assert all(len(at) == 24 and at.endswith("Z") for at in watermarks.values())
    assert status["open_windows"] == 0
    assert status["rows"]["tasks"]["here"] == 1000  # type: ignore[index]


def test_status_of_a_mirror_without_a_sync(empty_mirror: Scalesync) -> None:
    """Nothing is here, and it was never complete."""
    done = empty_mirror("status")

    assert (done.code, done.out.count("never")) == (0, 3)
    assert "of no account yet" in done.out


def test_check_finds_nothing_wrong(synced: Scalesync) -> None:
    """Database, key, API, account and storage each get their line, and the key is not in any."""
    done, machine = synced("check"), synced("check", "--json")

    findings = json.loads(machine.out)
    assert (done.code, done.out.count("ok  ")) == (0, 5)
    assert [finding["name"] for finding in findings] == ["database", "key", "api", "account", "storage"]
    assert LIVE_KEY not in done.out + machine.out


def test_check_says_what_to_do_about_each(synced: Scalesync) -> None:
    """The first failure gives the exit code, the rest is looked at too, and nobody waits for minutes."""
    away = synced.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1", SCALESYNC_PATIENCE=None)
    done, nothing = away("check"), synced("--db", "nowhere.db", "check")

    assert (done.code, nothing.code) == (4, 5)
    assert "FAILED  api" in done.out
    assert "ok      key" in done.out
    assert "FAILED  database" in nothing.out
    assert "scalesync init` first." in nothing.out


def test_names_cannot_command_a_terminal(mirror: Scalesync) -> None:
    """Control characters of names are spelled out in tables, messages and the status."""
    evil = "\x1b[2J\x07\r\n\x9bevil"
    name = "char(27)||'[2J'||char(7)||char(13)||char(10)||char(155)||'evil'"
    execute(mirror.mirror, f"UPDATE tasks SET project = {name}, status = {name}")
    execute(mirror.mirror, "DELETE FROM task_counts")  # counted anew

    for words in (["task", "list", "--limit", "3"], ["status"], ["task", "show", evil]):
        done = mirror(*words)
        assert [char for char in "\x1b\x07\r\x9b" if char in done.out + done.err] == []
        assert r"\x1b[2J\x07\r" in done.out + done.err


def test_a_reader_that_leaves_early_gets_no_traceback(synced: Scalesync, forked_cli: Path) -> None:
    """`head -1` takes its line; nothing is said on stderr."""
    commands = ("task list --json", "task list", "export tasks", "-q export tasks --format coco")
    for words in (*commands, "-q export annotations --format csv", "changes", "sql TABLE"):
        command = [str(forked_cli), *(word.replace("TABLE", "SELECT * FROM tasks") for word in words.split())]
        with subprocess.Popen(
            command, cwd=synced.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""


def test_an_encoding_without_the_letters_is_no_obstacle(synced: Scalesync) -> None:
    """Names in any script are spelled out where the terminal has no letters for them; JSON stays UTF-8."""
    western = Scalesync(synced.directory, {**synced.variables, "PYTHONIOENCODING": "latin-1"})

    assert "Stra\\xdfen & \\u6771\\u4eac" in western("project", "list").out
    assert "Straßen & 東京" in western("export", "projects").out


def test_status_says_what_each_table_takes(synced: Scalesync) -> None:
    """Only if asked, as it reads the whole file; largest first, for people and for machines."""
    plain, sized = synced("status", "--json").json, synced("status", "--sizes", "--json").json
    shown = synced("status", "--sizes")

    sizes = sized.pop("sizes")
    assert isinstance(sizes, dict)
    assert "sizes" not in plain
    assert sized.keys() == plain.keys()
    tables = {each["table"]: each for each in sizes["tables"]}
    assert tables["tasks"]["rows"] == 1_000
    assert tables["tasks"]["bytes"] > tables["batches"]["bytes"] > 0
    assert (shown.code, shown.err) == (0, "")
    assert f"The whole file: {sizes['bytes'] / 1e6:,.1f} MB, " in shown.out
    assert shown.out.index("\ntasks ") < shown.out.index("\nThe whole file")
