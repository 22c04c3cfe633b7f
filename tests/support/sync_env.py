"""Sync against a sandbox within the test process, and compare the mirror with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import select

from scalesync.api.client import ScaleApi
from scalesync.api.options import ApiOptions
from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.db.mirror import query
from scalesync.db.mirror.account import Account, fingerprint
from scalesync.db.mirror.documents import MAPPINGS
from scalesync.db.schema.mirror import tasks
from scalesync.lease_owner import new_owner_id
from scalesync.models.sync import Window
from scalesync.retry import RetryPolicy
from scalesync.sandbox import SandboxServer
from scalesync.sync.events import SyncEvent
from scalesync.sync.planner import SyncRequest
from scalesync.sync.runner import SyncRunner, SyncSummary
from scalesync.sync.store import SyncStore
from scalesync.sync.verify.models import Verification, VerifyScope, VerifyWatcher
from scalesync.sync.verify.verifier import LIST_THRESHOLD, Verifier
from tests.support.misbehaving_api import MisbehavingApi
from tests.support.scripted_server import ScriptedServer

KEY = "live_key"
STREAMS = ("tasks", "batches", "projects")
QUICK = RetryPolicy(attempts=12, seconds=60, base=0.01, cap=0.1)
ONCE_MORE = replace(QUICK, attempts=2)
"""For failures that last: what is tried twelve times ends in the same."""
EVERYTHING = SyncRequest()
TASKS_ONLY = SyncRequest(("tasks",))

_SIGNATURE = re.compile(rb'\?X-Amz-[^"]*')


@contextmanager
def session(
    server: SandboxServer | ScriptedServer | MisbehavingApi,
    database: Database,
    *,
    workers: int = 4,
    clock: Clock | None = None,
    lease: float = 30,
    retry: RetryPolicy = QUICK,
) -> Iterator[SyncRunner]:
    """Yield a session that gives up on an answer, and tries again, quickly."""
    clock, events = clock or Clock(), list[SyncEvent]()
    options = ApiOptions(url=server.url, retry=retry, read_timeout=0.7, deadline=2)
    with ScaleApi(KEY, options, clock=clock) as api:
        mine = Account(fingerprint(KEY), "live", server.url, clock.now())
        store = SyncStore(database, api, new_owner_id(), lease)
        yield SyncRunner(store, clock, events.append, mine, workers)


def sync(
    server: SandboxServer | MisbehavingApi,
    database: Database,
    request: SyncRequest = EVERYTHING,
    *,
    workers: int = 4,
    retry: RetryPolicy = QUICK,
) -> SyncSummary:
    """Sync once and return the summary, complete or not."""
    with session(server, database, workers=workers, retry=retry) as ready:
        return ready.sync(request)


@dataclass(frozen=True)
class NoWaitClock(Clock):
    """A clock on which nobody waits."""

    def sleep(self, seconds: float) -> None:
        """Return at once."""


EVERY_WINDOW = (Window("projects"), Window("batches"), Window("tasks"))


def verify(
    server: SandboxServer,
    database: Database,
    windows: tuple[Window, ...] = EVERY_WINDOW,
    *,
    deep: bool = False,
    listed: int = LIST_THRESHOLD,
    watch: VerifyWatcher = lambda _: None,
) -> Verification:
    """Verify once; `listed` as of Verifier. What was made in the very second of it is left out."""
    clock = NoWaitClock()
    options = ApiOptions(url=server.url, retry=QUICK, read_timeout=2, deadline=4)
    with ScaleApi(KEY, options, clock=clock) as api:
        return Verifier(api, database, clock, watch, 4, listed).verify(VerifyScope(windows, deep))


def mirrored(database: Database, stream: str) -> dict[str, dict[str, object]]:
    """Return every mirrored document by its key, without what differs at every read."""
    kind = MAPPINGS[stream]
    with database.read() as conn:
        return _by_key(kind.key, list(query.documents(conn, kind)))


def served(server: SandboxServer, stream: str) -> dict[str, dict[str, object]]:
    """Return every document of the sandbox by its key, without what differs at every read."""
    return _by_key(MAPPINGS[stream].key, server.backend.documents(stream))


def differences(server: SandboxServer, database: Database) -> dict[str, list[str]]:
    """Return the keys, by stream, whose documents differ or are on one side only."""
    found = {}
    for stream in STREAMS:
        here, there = mirrored(database, stream), served(server, stream)
        differing = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
        if differing:
            found[stream] = differing
    return found


def task_pages(server: SandboxServer) -> int:
    """Return how many pages of tasks were asked for so far."""
    return server.backend.requests["GET /tasks"]


def _by_key(key: str, documents: list[bytes]) -> dict[str, dict[str, object]]:
    decoded = (msgspec.json.decode(_SIGNATURE.sub(b"", document)) for document in documents)
    return {
        document[key]: {name: value for name, value in document.items() if name != "attachmentS3Downloads"}
        for document in decoded
    }


def present(database: Database) -> set[str]:
    """Return the ids of the tasks that are in the mirror and not missing."""
    with database.read() as conn:
        return set(conn.scalars(select(tasks.c.task_id).where(tasks.c.missing_since.is_(None))))
