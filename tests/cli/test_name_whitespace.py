"""Names reach the API and the database as they were typed: no space is cut off, and none is made up."""

import re
from collections.abc import Callable

import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError, QueueError
from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Done, Scalesync, check_refusal
from tests.support.sandboxes import LIVE_KEY

Start = Callable[..., SandboxServer]

BOX = '{"instruction": "Box every car."}'
SPACED = ("X ", " X", "X", " ", "X,Y")
"""Names of different projects, as different as any two others."""


def done(scalesync: Scalesync, *words: str) -> Done:
    """Return what a command left behind that must end well."""
    left = scalesync(*words)
    assert left.code == 0, left.err
    return left


@pytest.fixture
def spaced(start_sandbox: Start, empty_mirror: Scalesync, database_url: str) -> Scalesync:
    """Return what runs commands beside a mirror of such projects, with a batch and a task each."""
    server = start_sandbox()
    ready = empty_mirror.having(SCALESYNC_API_URL=server.url, SCALESYNC_DB=database_url)
    for name in SPACED:
        done(ready, "project", "create", "--type", "imageannotation", "--params", BOX, "--", name)
        done(ready, "batch", "create", "--project", name, "--", name)
        words = ("attachment=https://example.com/1.jpg", f"unique_id={name}", "--batch", name)
        done(ready, "task", "create", "imageannotation", "--project", name, *words)
    done(ready, "dispatch")
    done(ready, "sync")
    return ready


def test_every_command_takes_a_name_as_it_was_typed(spaced: Scalesync) -> None:
    """Where "X " and "X" are two projects, what is asked of one is not done to the other."""
    for name in SPACED:
        for option in ("--project", "--batch", "--unique-id"):
            (task,) = done(spaced, "task", "list", f"{option}={name}", "--json").lines
            assert (task["project"], task["batch"], task["unique_id"]) == (name, name, name)
            (row,) = done(spaced, "export", "tasks", f"{option}={name}").lines
            assert row["project"] == name
        for kind in ("project", "batch"):
            assert done(spaced, kind, "show", "--", name).json["name"] == name
        assert "pending" in done(spaced, "batch", "status", "--", name).out
        assert done(spaced, "sync", f"--project={name}", "--json").json["complete"]
        assert done(spaced, "verify", f"--project={name}", "--json").json["drift"] == []
        listed = done(spaced, "queue", "list", f"--batch={name}", "--all", "--json").lines
        assert {command["scope"] for command in listed} == {f"batch:{name}"}
    check_refusal(spaced("sync", "--project", "X  "), 2, "'X  '")


def test_variables_take_a_name_as_it_was_typed(spaced: Scalesync) -> None:
    """Several in one variable have a comma between them and nothing else."""
    named = spaced.having(
        SCALESYNC_TASK_LIST_PROJECT="X ", SCALESYNC_SYNC_PROJECT="X ,X", SCALESYNC_SYNC_JSON="1"
    )

    assert [task["project"] for task in done(named, "task", "list", "--json").lines] == ["X "]
    assert done(named, "sync", "tasks").json["streams"]["tasks"]["unchanged"] == 2  # type: ignore[index]
    check_refusal(spaced.having(SCALESYNC_SYNC_PROJECT="X, X ,X,")("sync"), 2, "It is empty")


def test_a_cancel_and_a_finalize_are_of_the_name_that_was_typed(spaced: Scalesync) -> None:
    """Of the others nothing is queued."""
    done(spaced, "task", "cancel", "--unique-id", "X ")
    done(spaced, "task", "cancel", "--batch", " X")
    done(spaced, "batch", "finalize", "X ")
    done(spaced, "project", "update", "X ", "--params", BOX)

    resources = [command["resource"] for command in done(spaced, "queue", "list", "--json").lines]
    assert resources == ["task:X ", "task: X", "batch:X ", "project:X "]


def test_a_field_that_gives_the_unique_id_is_named_as_it_was_typed(empty_mirror: Scalesync) -> None:
    """And what it holds is the unique_id, spaces and all."""
    (empty_mirror.directory / "lines.jsonl").write_text('{"id ": " a ", "id": "b", "project": " P"}\n')

    done(empty_mirror, "task", "create", "annotation", "--from", "lines.jsonl", "--unique-id-field", "id ")

    (command,) = done(empty_mirror, "queue", "list", "--json").lines
    assert (command["resource"], command["depends_on"]) == ("task: a ", "project: P")


EMPTY = (
    "sync --project=",
    "verify --project=",
    "task list --project=",
    "task list --batch=",
    "task list --status=",
    "task list --type=",
    "task list --unique-id=",
    "task list --customer-review-status=",
    "export tasks --project=",
    "batch list --status=",
    "project list --type=",
    "queue list --batch=",
    "queue pause --reason=",
    "task cancel --batch=",
    "batch create b --project=",
    "batch create b --project P --callback=",
    "task create annotation a=1 --project=",
    "task create annotation a=1 --unique-id-field=",
    "--db= status",
    "--api-url= status",
    "--api-key-file= status",
    "--api-key-keyring= status",
)


@pytest.mark.parametrize("line", EMPTY)
def test_an_empty_name_is_refused(line: str, empty_mirror: Scalesync) -> None:
    """Whatever it is the name of; an option that was given is never taken for one that was not."""
    (option,) = re.findall("(--[a-z-]+)= ?", line)
    check_refusal(empty_mirror(*line.split()), 2, option, "It is empty")


@pytest.mark.parametrize(
    "line",
    [
        "task show",
        "batch show",
        "batch status",
        "project show",
        "batch finalize",
        "task cancel",
        "task create",
    ],
)
def test_an_empty_argument_is_refused(line: str, empty_mirror: Scalesync) -> None:
    """Ids and types too."""
    check_refusal(empty_mirror(*line.split(), ""), 2, "empty")


def test_python_refuses_an_empty_name_too(sqlite_url: str) -> None:
    """And takes any other as it is."""
    mirror = Mirror(sqlite_url, api_key=LIVE_KEY, api_url="http://127.0.0.1:9/v1")

    for name in ("project", "batch", "status", "type", "unique_id", "customer_review_status"):
        with pytest.raises(ConfigurationError, match=f"{name} is empty"):
            list(mirror.tasks(**{name: ""}))  # type: ignore[arg-type]
    for read in (mirror.sync, mirror.verify):
        with pytest.raises(ConfigurationError, match="project is empty"):
            read(projects=("X", ""))
    with pytest.raises(ConfigurationError, match="database is empty"):
        Mirror("")
    with pytest.raises(QueueError, match="batch must be a text that is not empty"):
        mirror.create_batch("", "P")
    assert mirror.create_batch(" ", "P").new
