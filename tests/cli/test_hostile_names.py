"""An account of names that would command a terminal, leave a directory, run in a spreadsheet or in SQL."""

import csv
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from scalesync.db.database import Database
from scalesync.db.mirror.documents import BATCHES, PROJECTS, TASKS
from scalesync.db.schema.annotations_and_changes import annotations
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Done, Scalesync, scalesync_in
from tests.support.databases import opened
from tests.support.export_account import box, task, written
from tests.support.scripted_server import ScriptedServer, say
from tests.support.static_list_api import StaticListApi, page
from tests.support.static_list_api import task as served_task

EVIL = (
    "\x1b[2J\x1b]0;mine\x07\x9b31m\x7f\u202eedoc\u2066\u200f\u061c\u2028\x85"
    "\r\nError: all is well\t'; DROP TABLE tasks; -- %s {0} ../../../evil/x\\"
)
NAMES = (
    EVIL,
    "../../evil",
    "..",
    "=cmd|'/C calc'!A0",
    "-o",
    "@SUM(1)",
    "\uff1d1",
    "\n",
    "' OR ''='",
    "\u202e",
    "a\x1b",
)
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Every C0 and C1 control but the line feed, and every mark that turns the direction of text."""

AT = "2026-01-02T03:04:05.678Z"


def fill(database: Database) -> None:
    """Write an account in which everything has such names."""
    response = {"annotations": [box(name, 1, 2) for name in NAMES]}
    tasks = [
        task(
            f"t{number}", project=name, batch=name, unique_id=f"{name}{number}", response=response,
            status=name, params={"attachment": name}, metadata={name: name}, instruction=name,
        )
        for number, name in enumerate(NAMES)
    ]  # fmt: skip
    written(database, TASKS, tasks)
    batches = [{"name": name, "project": name, "status": name, "created_at": AT} for name in NAMES]
    written(database, BATCHES, batches)
    versions = [{"version": 0, "created_at": AT, "instruction": EVIL}]
    projects = [{"name": name, "type": name, "created_at": AT, "param_history": versions} for name in NAMES]
    written(database, PROJECTS, projects)


@pytest.fixture
def hostile(database_url: str, tmp_path: Path) -> Scalesync:
    """Return what runs commands beside a mirror of such an account, on each kind of database in turn."""
    with opened(database_url) as database:
        fill(database)
    scalesync = in_process(scalesync_in(tmp_path, "http://127.0.0.1:9/v1"))
    return scalesync.having(SCALESYNC_DB=database_url, SCALESYNC_PATIENCE="0", NO_PROXY="127.0.0.1")


def harmless(done: Done) -> Done:
    """Return what a command left behind, which nothing obeys that shows it."""
    assert FORBIDDEN.findall(done.out + done.err) == []
    assert not re.search("^Error: all is well", done.out + done.err, re.MULTILINE)
    return done


def test_whatever_is_shown_of_an_account_commands_no_terminal(hostile: Scalesync) -> None:
    """Lists, documents, tables and counts; and every name can be asked for."""
    for line in ("status", "task list", "batch list", "project list", "changes", "task show t0", "check"):
        harmless(hostile("-vv", *line.split()))
    harmless(hostile("sql", "--format", "table", "SELECT * FROM tasks"))
    harmless(hostile("sql", "--format", "table", "SELECT label, count(*) FROM annotations GROUP BY label"))
    for name in NAMES[:-3]:
        if name.strip():
            shown = harmless(hostile("batch", "show", "--", name))
            assert (shown.code, shown.json["name"]) == (0, name)
            assert harmless(hostile("task", "list", "--project", name.strip(), "--json")).code == 0
    assert len(hostile("task", "list", "--json").lines) == len(NAMES)


def test_whatever_is_queued_commands_no_terminal(hostile: Scalesync) -> None:
    """Names of what is to be made, lines of a file that are wrong, reasons to pause."""
    harmless(hostile("project", "create", EVIL + "new", "--type", EVIL, "--params", json.dumps({EVIL: EVIL})))
    harmless(hostile("batch", "create", EVIL + "new", "--project", EVIL + "new"))
    made = ("task", "create", "annotation", f"x={EVIL}", "--batch", EVIL)
    for name in (f"{EVIL}new", f"{EVIL}new", f"{EVIL}0"):
        harmless(hostile(*made, f"unique_id={name}"))
    bad = hostile.directory / "bad.jsonl"
    bad.write_text(json.dumps({"unique_id": {EVIL: EVIL}}) + "\n" + json.dumps({EVIL: EVIL}) + EVIL)
    assert harmless(hostile("task", "create", "annotation", "--from", bad)).code == 2
    harmless(hostile("queue", "pause", "--reason", EVIL))
    for line in ("queue list", "queue show 1", "queue show 2", "queue why 2", "status", "dispatch --dry-run"):
        harmless(hostile("-vv", *line.split()))
    harmless(hostile("queue", "pause", "--json", "--reason", EVIL))
    for line in ("queue list --json", "queue why 1 --json", "task list --queued --json", "status --json"):
        harmless(hostile(*line.split()))
    assert harmless(hostile("queue", "show", "1", "--json")).json["resource"] == f"project:{EVIL}new"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_whatever_the_api_answers_commands_no_terminal(status: int, hostile: Scalesync) -> None:
    """Its words in every error, in the queue that keeps them, and in logs."""
    hostile("task", "create", "annotation", "attachment=x", "unique_id=mine")
    with ScriptedServer([say({"error": EVIL}, status)]) as server:
        ready = hostile.having(SCALESYNC_API_URL=server.url)
        for line in (
            "check",
            "check --json",
            "sync",
            "dispatch",
            "queue reconcile",
            "batch status x",
            "init",
        ):
            harmless(ready("-vv", *line.split()))
        assert server.seen
    for line in ("status", "status --json", "queue list --all", "queue show 1", "queue why 1"):
        harmless(ready("-vv", *line.split()))


def test_whatever_is_read_commands_no_terminal(scalesync: Scalesync) -> None:
    """A sync of such tasks and of their changes, and of a list that contradicts itself."""
    given = [served_task(number, project=name, status=name) for number, name in enumerate(NAMES)]
    with StaticListApi(lambda _: page(*given)) as api:
        ready = scalesync.having(SCALESYNC_API_URL=api.url, SCALESYNC_PATIENCE="0")
        harmless(ready("init"))
        assert harmless(ready("-vv", "sync", "tasks")).code == 0
        changed = [{**each, "status": EVIL, "batch": EVIL} for each in given]
        api.tasks = lambda _: page(*changed)
        harmless(ready("-vv", "sync", "tasks"))
        assert len(harmless(ready("changes")).out.splitlines()) >= len(NAMES)
        harmless(ready("changes", "--json"))
        api.tasks = lambda _: page(*given)
        harmless(ready("-vv", "verify", "tasks"))
        harmless(ready("verify", "tasks", "--json"))
        api.tasks = lambda _: page({"task_id": {EVIL: 1}, EVIL: EVIL})
        assert harmless(ready("-vv", "sync", "tasks")).code == 1
        harmless(ready("status"))


def test_names_do_not_leave_a_directory_nor_run_in_a_spreadsheet(hostile: Scalesync) -> None:
    """Partitions are directories below the one that was named; CSV that was written is read as it was."""
    beside = {path.name for path in hostile.directory.parent.iterdir()}
    partitions = ("export", "--format", "parquet", "--partition")
    (hostile.directory / "lake").mkdir()
    for table in ("tasks", "annotations"):
        assert harmless(hostile(*partitions, table, "-o", f"lake/{table}")).code == 0
        levels = {path.name for path in (hostile.directory / "lake" / table).iterdir()}
        assert len(levels) == len(NAMES)
        assert [name for name in levels if not re.fullmatch(r"project=[\w.%~-]+", name, re.ASCII)] == []
    made = {path.name for path in hostile.directory.iterdir()}
    assert [name for name in made if name != "lake" and not name.startswith("mirror.db")] == []
    assert {path.name for path in hostile.directory.parent.iterdir()} == beside

    assert hostile("export", "annotations", "--format", "csv", "-o", "labels.csv").code == 0
    with (hostile.directory / "labels.csv").open(newline="", encoding="utf-8") as file:
        labels = {row["label"] for row in csv.DictReader(file)}
    assert labels == {f"'{name}" if name[0] in "=+-@\n\uff1d" else name for name in NAMES}


def test_nothing_of_a_name_is_run_as_sql(hostile: Scalesync, database_url: str) -> None:
    """Filters by such names find what has that very name, and every table is there."""
    for name in NAMES:
        if name.strip() == name:
            for option in ("--project", "--batch", "--status"):
                found = hostile("task", "list", "--json", f"{option}={name}").lines
                assert [each["project"] for each in found] == [name], option
    with opened(database_url) as database, database.read() as conn:
        assert len(conn.execute(select(annotations.c.label)).all()) == len(NAMES) ** 2


TWICE = """
from scalesync.cli.main import cli
for form in ("jsonl", "csv"):
    cli(["-q", "export", "tasks", "--format", form], standalone_mode=False)
"""


def test_data_on_a_terminal_commands_it_no_more(sqlite_template: Path, tmp_path: Path) -> None:
    """JSON and CSV are piped as they are; on a terminal they are spelled out, JSON as JSON may be."""
    shutil.copyfile(sqlite_template, tmp_path / "scalesync.db")
    with opened(f"sqlite:///{tmp_path / 'scalesync.db'}") as database:
        written(database, TASKS, [task("a", project=EVIL)])
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
        done = subprocess.run(
            [sys.executable, "-c", TWICE], cwd=tmp_path, env=scalesync_in(tmp_path).environment(),
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        os.close(theirs)
        shown = terminal.read(10_000).decode().replace("\r\n", "\n")
    assert (done.stderr, FORBIDDEN.findall(shown)) == (b"", [])
    assert json.loads(shown.splitlines()[0])["project"] == EVIL
    assert shown.count("DROP TABLE") == 2
