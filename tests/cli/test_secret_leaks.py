"""One key and one password, every command at its most talkative, and a search for both wherever it wrote."""

import base64
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import click
import pytest
from sqlalchemy import text

from scalesync.db.database import Database
from scalesync.db.types import metadata
from scalesync.sandbox import SandboxServer
from tests.api.test_connection import tls_server
from tests.structure.test_command_line import commands
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Done, Scalesync, execute, scalesync_in
from tests.support.databases import opened
from tests.support.scripted_server import ScriptedServer, say

KEY = "live_canary_5ca1e0f1a5ec4e7b1bd"
PASSWORD = "cage-9f3a7c21"

Start = Callable[..., SandboxServer]

ECHO = f"key {KEY} (Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}) is wrong"
ANSWERS = (
    *(say({"error": ECHO}, code) for code in (400, 401, 409, 500)),
    say(ECHO.encode()),
    say([ECHO, {ECHO: ECHO}]),
)
"""Of an API that says the key back, in a refusal or where a document is expected."""
ADDRESSES = ("http://127.0.0.1:9/v1", f"https://{KEY}:@h/v1", f"https://[{KEY}", f"ftp://h/{KEY}@")
"""Where nobody is, and where the key stands in the address itself."""

ID = "0" * 24
CALLS: dict[str, tuple[str, ...]] = {
    "init": ("init", "init --adopt"),
    "check": ("check", "check --json"),
    "status": ("status", "status --json --sizes"),
    "prune": ("prune --json", "prune --older-than 0s --yes", "prune --kind runs --yes --vacuum"),
    "sync": ("sync --dry-run", "sync --full --json", "sync --results --allow-private"),
    "verify": ("verify --deep --json",),
    "fetch-attachments": ("fetch-attachments --sizes --json", "fetch-attachments --to kept --allow-private"),
    "fetch-results": ("fetch-results --json", "fetch-results --allow-private"),
    "docs": ("docs", "docs tables"),
    "changes": ("changes", "changes --json"),
    "diff": (f"diff {ID}", f"diff {ID} --json"),
    "publish": (
        "publish lake --json --view label_counts",
        "publish files --format parquet",
        f"publish s3://{KEY}@h/p",
    ),
    "findings": ("findings", "findings --json --rule tiny --fail-on any", "findings --counts"),
    "task list": ("task list --queued", "task list --json --limit 3"),
    "task show": (f"task show {ID}",),
    "task create": ("task create annotation attachment=https://example.com/1.jpg unique_id=u",),
    "task cancel": (f"task cancel {ID}", "task cancel --batch b"),
    "task audit": (f"task audit {ID} --accept",),
    "task tag": (f"task tag {ID} --add a",),
    "task set-metadata": (f"task set-metadata {ID} --metadata {{}}",),
    "task set-unique-id": (f"task set-unique-id {ID} --to v",),
    "task clear-unique-id": (f"task clear-unique-id {ID}",),
    "task send-callback": (f"task send-callback {ID}",),
    "batch set-metadata": ("batch set-metadata b --metadata {}",),
    "file import": ("file import https://example.com/1.jpg",),
    "file upload": ("file upload /etc/hostname --reference-id f",),
    "batch list": ("batch list", "batch list --json"),
    "batch show": ("batch show none",),
    "batch status": ("batch status none", "batch status b --json"),
    "batch create": ("batch create b --project p",),
    "batch finalize": ("batch finalize b",),
    "project list": ("project list", "project list --json"),
    "project show": ("project show none",),
    "project create": ("project create p --type annotation --params {}",),
    "project update": ("project update p --params {} --patch",),
    "sql": ("sql 'SELECT 1'", "sql --format json 'SELECT 2'", "sql SELEC"),
    "export": ("export tasks -o tasks.jsonl", "export commands --format csv -o commands.csv", "export runs"),
    "report": ("report -o report.html --with-samples 3", "report"),
    "backup": ("backup copy.db", "backup copy.db"),
    "queue list": ("queue list --all", "queue list --all --json"),
    "queue show": ("queue show 1", "queue show 1 --json"),
    "queue why": ("queue why 1", "queue why 1 --json"),
    "queue retry": ("queue retry --dead",),
    "queue discard": ("queue discard 999", "queue discard 3"),
    "queue pause": ("queue pause --for 1s --reason later",),
    "queue resume": ("queue resume",),
    "queue distrust": ("queue distrust",),
    "queue reconcile": ("queue reconcile --timeout 5s",),
    "dispatch": ("dispatch --dry-run", "dispatch --json", "dispatch --timeout 5s"),
}
APART = {"sandbox", "demo", "browse"}
"""Run until they are stopped, or with a mirror of their own: processes below."""
QUEUEING = ("project create", "batch create", "task create", "task cancel")
FIRST = (*QUEUEING, "sync", "dispatch")
ASKING = ("init", "check", "sync", "dispatch", "queue reconcile", "batch status", "fetch-results", "verify")


def encoded(secret: str) -> list[bytes]:
    """Return what a secret looks like in a file or an answer: plain, and as HTTP Basic has it."""
    basic = base64.b64encode(f"{secret}:".encode()).rstrip(b"=")
    return [secret.encode(), basic[:-1], base64.b64encode(secret.encode()).rstrip(b"=")[:-1]]


SECRETS = [form for secret in (KEY, PASSWORD) for form in encoded(secret)]


def reveals(data: bytes) -> bool:
    """Tell whether a secret is in there, in any form."""
    return any(secret in data for secret in SECRETS)


def kept(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below a directory."""
    for path in directory.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()


def command_lines() -> bytes:
    """Return the arguments of every process of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue  # it ended meanwhile
    return b"\n".join(found)


def run(scalesync: Scalesync, *lines: str) -> list[Done]:
    """Run commands at their most talkative; none of them shows a secret."""
    done = []
    for line in lines:
        done.append(one := scalesync("-vv", *shlex.split(line)))
        assert not reveals(f"{one.out}\n{one.err}".encode()), line
    return done


def everything() -> list[str]:
    """Return every call there is, first those that queue something, and send it."""
    names = [*FIRST, *(name for name in CALLS if name not in FIRST)]
    return [line for name in names for line in CALLS[name]]


@pytest.fixture
def canary(sqlite_template: Path, tmp_path: Path) -> Scalesync:
    """Return what runs commands with the key, beside an empty mirror."""
    shutil.copyfile(sqlite_template, tmp_path / "scalesync.db")
    keyed = in_process(scalesync_in(tmp_path)).having(SCALE_API_KEY=KEY, SCALESYNC_PATIENCE="0.3s")
    return keyed.having(NO_PROXY="127.0.0.1", REQUESTS_CA_BUNDLE=None)


def test_no_command_is_left_out() -> None:
    """A new command has to be added to those that are searched."""
    leaves = {" ".join(path) for path, command in commands() if not isinstance(command, click.Group)}
    assert leaves == set(CALLS) | APART


def test_no_command_reveals_the_key(start_sandbox: Start, canary: Scalesync) -> None:
    """Neither in what it says nor in any file: the mirror with its log, exports, a sandbox's state."""
    server = start_sandbox(tasks=40, state=canary.directory / "state.db")
    ready = canary.having(SCALESYNC_API_URL=server.url)
    with closing(sqlite3.connect(canary.mirror)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("SELECT 1 FROM mirror").fetchall()  # keeps the log from being removed
        done = run(ready, *everything())
        files = dict(kept(canary.directory))

    assert sum(one.code == 0 for one in done) > len(done) / 2
    assert server.backend.requests["POST /batches"] > 0
    assert "scalesync.api request method=GET" in "".join(one.err for one in done)
    for name in (
        "scalesync.db",
        "scalesync.db-wal",
        "tasks.jsonl",
        "commands.csv",
        "state.db",
        "state.db-wal",
    ):
        assert files[name], name
    assert [name for name, data in files.items() if reveals(data)] == []


def test_no_failure_reveals_the_key(canary: Scalesync) -> None:
    """An API that repeats it, refuses, breaks, or is none; certificates nobody vouches for; no database."""
    run(canary, *(line for name in QUEUEING for line in CALLS[name]))
    with ExitStack() as stack:
        broken = [stack.enter_context(ScriptedServer([step])) for step in ANSWERS]
        secure = stack.enter_context(ScriptedServer([say({})], tls=tls_server()))
        for url in (*(server.url for server in broken), secure.url, *ADDRESSES):
            failing = canary.having(SCALESYNC_API_URL=url, SCALESYNC_PATIENCE="0")
            done = run(failing, *(CALLS[name][-1] for name in ASKING), "queue resume")
            assert any(one.code for one in done), url
        assert ([server.url for server in broken if not server.seen], secure.seen) == ([], [])
    run(canary, "queue list --all --json", "queue show 1", "status", "export command_attempts -o steps.jsonl")
    assert [name for name, data in kept(canary.directory) if reveals(data)] == []

    canary.mirror.write_bytes(b"no database")
    assert {one.code for one in run(canary, "sync", "status", "check", "sql 'SELECT 1'", "init")} == {5}


def test_no_traceback_reveals_the_key(start_sandbox: Start, canary: Scalesync) -> None:
    """Not even one of a mirror that somebody wrote nonsense into: a process of its own, as people see it."""
    server = start_sandbox(tasks=5)
    run(ready := canary.having(SCALESYNC_API_URL=server.url), "sync")
    at = "'2026-01-01T00:00:00.000Z'"
    execute(canary.mirror, f"INSERT INTO runs (id, kind, started_at, state) VALUES (9, 'full', {at}, 'open')")
    execute(canary.mirror, "INSERT INTO windows (run_id, stream, state) VALUES (9, 'nonsense', 'open')")

    done = Scalesync(ready.directory, ready.variables)("-vv", "sync")

    assert (done.code, "Traceback" in done.err, "nonsense" in done.err) == (1, True, True)
    assert not reveals(f"{done.out}\n{done.err}".encode())


def test_no_process_shows_the_key_in_its_command_line(start_sandbox: Start, canary: Scalesync) -> None:
    """Dispatchers wait and a sandbox serves; the key comes from a file; nobody started anything else."""
    server = start_sandbox()
    (canary.directory / "key").write_text(KEY)
    (canary.directory / "key").chmod(0o600)
    variables = {**canary.variables, "SCALESYNC_API_URL": server.url, "SCALESYNC_API_KEY_FILE": "key"}
    real = Scalesync(canary.directory, {k: v for k, v in variables.items() if k != "SCALE_API_KEY"})
    with (
        real.started("-vv", "dispatch", "--watch") as watching,
        real.started("sandbox", "--port", "0") as api,
    ):
        assert watching.stderr is not None
        assert api.stderr is not None
        said = [watching.stderr.readline(), api.stderr.readline()]
        lines = command_lines()
    assert all(said)
    assert b"dispatch\0--watch" in lines
    assert not reveals(lines + "".join(said).encode())


def test_no_command_reveals_a_password(start_sandbox: Start, postgres_url: str, canary: Scalesync) -> None:
    """Of a Postgres given by --db: nothing that is said, and no row of any table, nor the key in any."""
    url = postgres_url.replace("postgres:@", f"postgres:{PASSWORD}@")
    assert PASSWORD in url
    server = start_sandbox(tasks=20)
    ready = canary.having(SCALESYNC_API_URL=server.url, SCALESYNC_DB=url)
    run(ready, *everything())
    missing = url.replace("/test_", "/none_")
    away = f"postgresql://someone:{PASSWORD}@127.0.0.1:9/x"
    asked = f"postgresql://127.0.0.1:9/x?user=someone&password={PASSWORD}"
    for wrong in (
        missing,
        away,
        asked,
        f"postgresql://a:b:{PASSWORD}@h:{PASSWORD}/x",
        f"odd://a:{PASSWORD}@h",
    ):
        codes = [
            done.code for done in run(ready.having(SCALESYNC_DB=wrong), "status", "check", "sync", "init")
        ]
        assert set(codes) <= {2, 5}, wrong
    with opened(postgres_url) as database:
        assert not reveals(rows(database))


def rows(database: Database) -> bytes:
    """Return every row of every table as the database shows it."""
    found = []
    with database.read() as conn:
        for table in metadata.tables:
            found += [str(row) for row in conn.execute(text(f"SELECT {table}::text FROM {table}"))]
    return "\n".join(found).encode()
