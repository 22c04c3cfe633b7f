"""An account with tasks of every type and every documented form of result, synced as people sync theirs."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from scalesync.db.database import Database
from scalesync.mirror import Mirror
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.sandbox.task_writes import create_task
from scalesync.sandbox.templates import TEMPLATES, fill
from scalesync.sandbox.validation import TASK_TYPES
from scalesync.web.server import PagesServer
from tests.support.databases import PostgresServer, opened
from tests.support.documented_forms import FORMS
from tests.support.file_server import FileServer, fetch
from tests.support.flattening import as_file
from tests.support.sync_env import sync

OF_EACH_TYPE = 30
_RESULTS = "https://results.example"
"""Where the documented forms have their files."""


def put(server: SandboxServer, **fields: Any) -> str:
    """Have the account of a sandbox hold a completed task with these fields; return its id."""
    account = server.backend.live
    with server.backend.locked():
        now = account.now()
        at = dict.fromkeys(("created_at", "updated_at", "completed_at"), "2024-01-01T00:00:00.000Z")
        document = {"task_id": account.new_id(now), "status": "completed", "params": {}, "metadata": {}}
        return account.save_task({**document, **at, "is_test": False, **fields}).task_id


def put_every_type(server: SandboxServer, each: int) -> None:
    """Have the account hold that many completed tasks of every type that the sandbox knows."""
    rng = random.Random("every type")
    for task_type in sorted(TASK_TYPES):
        for _ in range(each):
            params = fill(f"params/{task_type}", rng) if task_type in TEMPLATES["params"] else {}
            body = {"attachment": "https://pictures.example/a.jpg", **params}
            with server.backend.locked():
                task_id = create_task(server.backend.live, task_type, body).task_id
            server.backend.complete(task_id)


def put_every_form(server: SandboxServer, files: FileServer) -> None:
    """Have the account hold a task of each type with every documented form, whose files are served."""
    for number, form in enumerate(FORMS):
        for url, content in form.files.items():
            files.files[url.replace(f"{_RESULTS}/", f"{number}-")] = as_file(content)
        text = json.dumps(form.response).replace(f"{_RESULTS}/", f"{files.origin}/{number}-")
        for task_type in form.types.split():
            put(server, type=task_type, response=json.loads(text), metadata={"form": form.name})


def fill_mirror(database: Database) -> None:
    """Sync an account of every type and form into a mirror, with its result files."""
    with SandboxServer(SandboxOptions()) as server, FileServer() as files:
        put_every_type(server, OF_EACH_TYPE)
        put_every_form(server, files)
        assert sync(server, database).complete
        assert not fetch(database).failed


@pytest.fixture(scope="session")
def sqlite_account(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> str:
    """Return the URL of an SQLite mirror of that account, which no test may change."""
    path = tmp_path_factory.mktemp("account") / "mirror.db"
    shutil.copyfile(sqlite_template, path)
    return _filled(f"sqlite:///{path}")


@pytest.fixture(scope="session")
def postgres_account(postgres_server: PostgresServer) -> str:
    """Return the URL of a Postgres mirror of that account, which no test may change."""
    return _filled(postgres_server.create("account", "mirror_template"))


def _filled(url: str) -> str:
    with opened(url) as database:
        fill_mirror(database)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def account_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a mirror of that account, of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_account"))


@contextmanager
def served(url: str) -> Iterator[PagesServer]:
    """Serve the pages of the mirror at a URL over HTTP."""
    with PagesServer(Mirror(url), "127.0.0.1", 0, None) as server:
        yield server


def counted(url: str, *addresses: str) -> None:
    """Wait until the tasks are counted for pages that show their numbers, given as JSON."""
    until = time.monotonic() + 60
    for address in addresses:
        while not _is_counted(url + address):
            assert time.monotonic() < until


def _is_counted(address: str) -> bool:
    with urlopen(address) as answer:
        told = json.load(answer)
    return told["counted_at"] is not None and not told["being_counted"]
