"""Where everything is measured: servers, databases and whoever has a turn."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from tests.benchmark.children import FailedError, run_peer, scalesync
from tests.benchmark.databases import fresh_postgres, fresh_sqlite, server_version
from tests.benchmark.options import Options
from tests.benchmark.peers.protocol import Measurement, Order
from tests.benchmark.results import DLT, FLOOR, LOOP, OFFICIAL, ORM, OURS, OURS_WIDE, TUNED, Result, Results
from tests.benchmark.server import KEY, Api, running
from tests.support.databases import PostgresServer, durable_server


@dataclass(frozen=True)
class Peer:
    """Somebody who copies an account."""

    name: str
    module: str
    workers: int = 8
    tuned: bool = False
    needs: tuple[str, ...] = ()
    """Packages that it imports."""
    only: str = ""
    """The one kind of database that it writes to; "": each."""
    migrated: bool = False
    """Whether it finds scalesync's tables in its database, which making is not measured."""

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


SCALESYNC = Peer(OURS, "mirror", migrated=True)
WIDE = Peer(OURS_WIDE, "mirror", workers=16, migrated=True)
PROOF = Peer(OURS, "proof", migrated=True)
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
    """The place, as long as it is open."""

    options: Options
    say: Callable[[str], None]
    """Called with what is going on, and with each figure as it comes."""
    stack: ExitStack
    results: Results = field(default_factory=Results)
    _servers: dict[tuple[int, float], Api] = field(default_factory=dict)
    _mirrors: dict[int, str] = field(default_factory=dict)

    @cached_property
    def directory(self) -> Path:
        """A directory that is gone in the end."""
        return Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="scalesync-benchmark-")))

    @cached_property
    def _postgres(self) -> PostgresServer:
        return self.stack.enter_context(durable_server())

    def postgres_version(self) -> str | None:
        """Return the version of the Postgres server, None if there was no need of one."""
        return server_version(self._postgres.url("postgres")) if "_postgres" in vars(self) else None

    def api(self, tasks: int, latency: float = 0.0) -> Api:
        """Return a server of so many tasks."""
        if (tasks, latency) not in self._servers:
            self.say(f"a server of {tasks:,} tasks")
            self._servers[tasks, latency] = self.stack.enter_context(running(tasks, latency=latency))
        return self._servers[tasks, latency]

    @contextmanager
    def fresh(self, engine: str) -> Iterator[str]:
        """Yield the URL of an empty database."""
        lending = fresh_sqlite(self.directory) if engine == "sqlite" else fresh_postgres(self._postgres)
        with lending as url:
            yield url

    def peers(self, engine: str) -> Iterator[Peer]:
        """Yield the others that can write to a kind of database, and say who cannot take part."""
        for peer in () if self.options.alone else PEERS:
            if peer.only in {"", engine}:
                if peer.missing:
                    lacking = ", ".join(peer.missing)
                    self.say(f"{peer.name} is left out: {lacking} is not installed; the extra `bench` has it")
                else:
                    yield peer

    def play(self, name: str, stage: Callable[["Harness"], None]) -> bool:
        """Play a stage and return whether it came to its end; a peer that fails is no reason against."""
        try:
            stage(self)
        except FailedError as error:
            self.say(f"{name} ends here: {error}")
            return False
        return True

    def init(self, api: Api, url: str) -> None:
        """Make scalesync's tables. Raises FailedError."""
        scalesync(["--quiet", "init"], api.url, url)

    def turn(self, stage: str, peer: Peer, api: Api, order: Order) -> Result:
        """Let somebody have a turn, in a database that is ready, and note what it took."""
        result = self.results.of(stage, peer.name, order.engine, order.tasks)
        self.say(f"{stage}, {order.engine}, {order.tasks:,} tasks: {peer.name}")
        before = api.requests()
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            given = replace(order, directory=directory, workers=peer.workers, tuned=peer.tuned)
            self.note(result, lambda: run_peer(peer.module, given))
        if result.rounds and not result.rounds[-1].requests:
            result.rounds[-1].requests = api.requests() - before
        return result

    def note(self, result: Result, act: Callable[[], Measurement]) -> None:
        """Do something and note what it took, or why it failed."""
        try:
            told = act()
        except FailedError as error:
            result.failures.append(str(error))
            self.say(f"  failed: {error}")
        else:
            result.rounds.append(told)
            self.say(f"  {told.seconds:.2f} s, of CPU {told.cpu:.2f} s, {told.peak / 1e6:.0f} MB")

    def copy(self, stage: str, peer: Peer, api: Api, order: Order) -> None:
        """Let somebody have a turn in a database of its own."""
        if peer.migrated:
            self.init(api, order.database)
        self.turn(stage, peer, api, order)

    def run(self, stage: str, arguments: list[str], api: Api, order: Order, *, name: str = "") -> None:
        """Run a command of scalesync's on a mirror and note what it took from its start to its end."""
        shown = f"scalesync {name or ' '.join(arguments)}"
        result = self.results.of(stage, shown, order.engine, order.tasks)
        self.say(f"{stage}, {order.engine}, {order.tasks:,} tasks: {shown}")
        before = api.requests()
        self.note(result, lambda: scalesync(arguments, api.url, order.database))
        if result.rounds:
            result.rounds[-1].requests = api.requests() - before

    def large_mirror(self, tasks: int) -> str:
        """Return the URL of a finished mirror of so many tasks on SQLite, made if there is none yet."""
        if tasks not in self._mirrors:
            api, url = self.api(tasks), self.stack.enter_context(self.fresh("sqlite"))
            self.copy("scale", SCALESYNC, api, Order(api.url, KEY, url, tasks))
            self._mirrors[tasks] = url
        return self._mirrors[tasks]
