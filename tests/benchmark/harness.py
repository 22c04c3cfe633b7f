"""Servers, databases and peers of a benchmark, and the methods that run and measure a peer."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from tests.benchmark.children import FailedError, run_peer, run_scalesync
from tests.benchmark.databases import fresh_postgres, fresh_sqlite, server_version
from tests.benchmark.documents import PROJECTS
from tests.benchmark.options import Options
from tests.benchmark.peers.protocol import Job
from tests.benchmark.results import (
    DLT,
    FLOOR,
    LOOP,
    OFFICIAL,
    ORM,
    OURS,
    OURS_WIDE,
    TUNED,
    Measurement,
    Result,
    Results,
)
from tests.benchmark.server import KEY, Api, running
from tests.support.databases import PostgresServer, durable_server


@dataclass(frozen=True)
class Peer:
    """A program that copies an account."""

    name: str
    module: str
    workers: int = 8
    tuned: bool = False
    needs: tuple[str, ...] = ()
    """Packages that it imports."""
    only: str = ""
    """The one kind of database that it writes to; "": each."""
    migrated: bool = False
    """Whether its database has scalesync's tables from the beginning; `init` makes them, unmeasured."""

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


SCALESYNC = Peer(OURS, "mirror", migrated=True)
WIDE = Peer(OURS_WIDE, "mirror", workers=16, migrated=True)
BARE = Peer(FLOOR, "floor", migrated=True)
A_LOOP = Peer(LOOP, "loop", needs=("scaleapi",))
PEERS = (
    Peer(OFFICIAL, "official", needs=("scaleapi", "sqlite_utils"), only="sqlite"),
    Peer(TUNED, "official", needs=("scaleapi", "sqlite_utils"), only="sqlite", tuned=True),
    Peer(ORM, "orm", needs=("scaleapi",)),
    Peer(DLT, "rest_source", needs=("dlt",)),
)


@dataclass
class Harness:
    """The servers and databases of one benchmark, which end with `stack`, and its results."""

    options: Options
    say: Callable[[str], None]
    """Called with each step as it begins, and with each figure."""
    stack: ExitStack
    results: Results = field(default_factory=Results)
    _servers: dict[tuple[int, float, str], Api] = field(default_factory=dict)
    _mirrors: dict[int, str] = field(default_factory=dict)

    @cached_property
    def directory(self) -> Path:
        """A directory that is removed in the end."""
        return Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="scalesync-benchmark-")))

    @cached_property
    def _postgres(self) -> PostgresServer:
        return self.stack.enter_context(durable_server())

    def postgres_version(self) -> str | None:
        """Return the version of the Postgres server, or None if none was started."""
        return server_version(self._postgres.url("postgres")) if "_postgres" in vars(self) else None

    def api(self, tasks: int, latency: float = 0.0, corpus: str = "plain") -> Api:
        """Return a server of an account with `tasks` tasks, started if there is none yet."""
        key = (tasks, latency, corpus)
        if key not in self._servers:
            self.say(f"a server of {tasks:,} tasks, {corpus}")
            started = running(tasks, latency=latency, corpus=corpus)
            self._servers[key] = self.stack.enter_context(started)
        return self._servers[key]

    @contextmanager
    def fresh(self, engine: str) -> Iterator[str]:
        """Yield the URL of an empty database."""
        made = fresh_sqlite(self.directory) if engine == "sqlite" else fresh_postgres(self._postgres)
        with made as url:
            yield url

    def peers(self, engine: str) -> Iterator[Peer]:
        """Yield the other peers that write to a kind of database, and say which are not installed."""
        for peer in () if self.options.alone else PEERS:
            if peer.only in {"", engine}:
                if peer.missing:
                    lacking = ", ".join(peer.missing)
                    self.say(f"{peer.name} is left out: {lacking} is not installed; the extra `bench` has it")
                else:
                    yield peer

    def play(self, name: str, stage: Callable[["Harness"], None]) -> bool:
        """Run a stage and return whether it came to its end; failures of peers do not end it."""
        try:
            stage(self)
        except FailedError as error:
            self.say(f"{name} ends here: {error}")
            return False
        return True

    def init(self, api: Api, url: str) -> None:
        """Make scalesync's tables. Raises FailedError."""
        run_scalesync(["--quiet", "init"], api.url, url)

    def submission(self, name: str, count: int) -> list[str]:
        """Return the arguments that submit tasks which nobody has submitted yet."""
        file = self.payloads(name, count)
        return ["--quiet", "task", "create", "imageannotation", "--from", str(file)]

    def payloads(self, name: str, count: int) -> Path:
        """Return a file of tasks that nobody has submitted yet, a line each."""
        file = self.directory / f"{name}.jsonl"
        with file.open("w") as lines:
            for number in range(count):
                body = {
                    "project": PROJECTS[0],
                    "unique_id": f"{name}-{number:06d}",
                    "instruction": "Draw a box around each **car**.",
                    "attachment": f"https://pictures.example/{number:06d}.jpg",
                    "attachment_type": "image",
                    "geometries": {
                        "box": {"objects_to_annotate": ["car"], "min_height": 10, "min_width": 10}
                    },
                    "metadata": {"row": number},
                }
                lines.write(json.dumps(body) + "\n")
        return file

    def turn(self, stage: str, peer: Peer, api: Api, job: Job) -> Result:
        """Run a peer once, in a database that is ready, and add what it took to its result."""
        result = self.result(stage, peer.name, api, job)
        before = api.requests()
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            own = replace(job, directory=directory, workers=peer.workers, tuned=peer.tuned)
            own = replace(own, irregular=api.corpus == "mixed")
            self.note(result, lambda: run_peer(peer.module, own))
        if result.rounds and not result.rounds[-1].requests:
            result.rounds[-1].requests = api.requests() - before
        return result

    def result(self, stage: str, name: str, api: Api, job: Job) -> Result:
        """Return the result to which a turn adds, and say that the turn begins."""
        self.say(f"{stage}, {job.engine}, {api.corpus}, {job.tasks:,} tasks: {name}")
        return self.results.of(stage, name, job.engine, job.tasks, api.corpus)

    def note(self, result: Result, act: Callable[[], Measurement]) -> None:
        """Add what `act` returns to a result, or the reason why it failed."""
        try:
            measured = act()
        except FailedError as error:
            result.failures.append(str(error))
            self.say(f"  failed: {error}")
        else:
            result.rounds.append(measured)
            self.say(f"  {measured.seconds:.2f} s, of CPU {measured.cpu:.2f} s, {measured.peak / 1e6:.0f} MB")

    def copy(self, stage: str, peer: Peer, api: Api, job: Job) -> None:
        """Run a peer once in an empty database, with scalesync's tables if the peer needs them."""
        if peer.migrated:
            self.init(api, job.database)
        self.turn(stage, peer, api, job)

    def run(self, stage: str, arguments: list[str], api: Api, job: Job, *, name: str = "") -> None:
        """Run a command of scalesync on a mirror once, and add what it took to its result."""
        result = self.result(stage, f"scalesync {name or ' '.join(arguments)}", api, job)
        before = api.requests()
        self.note(result, lambda: run_scalesync(arguments, api.url, job.database))
        if result.rounds:
            result.rounds[-1].requests = api.requests() - before

    def large_mirror(self, tasks: int) -> str:
        """Return the URL of a finished mirror of `tasks` tasks on SQLite, made if there is none yet."""
        if tasks not in self._mirrors:
            api, url = self.api(tasks), self.stack.enter_context(self.fresh("sqlite"))
            self.copy("scale", SCALESYNC, api, Job(api.url, KEY, url, tasks))
            self._mirrors[tasks] = url
        return self._mirrors[tasks]
