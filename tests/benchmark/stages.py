"""The stages of a benchmark, in the order in which they run. Only `sync` runs on each corpus."""

from contextlib import ExitStack

from tests.benchmark.children import run_scalesync
from tests.benchmark.harness import A_LOOP, BARE, SCALESYNC, WIDE, Harness, Peer
from tests.benchmark.hosts import hosts
from tests.benchmark.large import large
from tests.benchmark.pages import pages
from tests.benchmark.peers.protocol import Job
from tests.benchmark.publishing import publish
from tests.benchmark.results import DROP_IN, METHODS, OFFICIAL_READER, CorpusFigures
from tests.benchmark.resume import resume
from tests.benchmark.server import KEY
from tests.benchmark.upper_bound import upper_bound

SENDING_LATENCY = 0.05
"""Seconds that each request takes while tasks are created."""
SENDING_WORKERS = 8


def sync(harness: Harness) -> None:
    """Copy the account with each peer in turn, round by round, from a server that answers at once."""
    for corpus in harness.options.corpora:
        api = harness.api(harness.options.tasks, corpus=corpus)
        harness.results.corpora[corpus] = CorpusFigures(upper_bound(api), api.bytes_per_task)
    for _ in range(harness.options.rounds):
        for corpus in harness.options.corpora:
            for engine in harness.options.engines:
                _sync_once(harness, corpus, engine)


def _sync_once(harness: Harness, corpus: str, engine: str) -> None:
    tasks = harness.options.tasks
    api = harness.api(tasks, corpus=corpus)
    with ExitStack() as stack:
        mirror = stack.enter_context(harness.fresh(engine))
        harness.copy("sync", SCALESYNC, api, Job(api.url, KEY, mirror, tasks))
        for peer in (BARE, *harness.peers(engine)):
            with harness.fresh(engine) as url:
                harness.copy("sync", peer, api, Job(api.url, KEY, url, tasks, source=mirror))


def latency(harness: Harness) -> None:
    """Copy the account from a server that takes its time for each request."""
    tasks = harness.options.tasks
    api = harness.api(tasks, harness.options.latency)
    turns = [(SCALESYNC, harness.options.rounds), (WIDE, harness.options.rounds)]
    turns += [(peer, harness.options.slow_rounds) for peer in harness.peers("sqlite") if not peer.tuned]
    for round_ in range(harness.options.rounds):
        for peer, rounds in turns:
            if round_ < rounds:
                with harness.fresh("sqlite") as url:
                    harness.copy("latency", peer, api, Job(api.url, KEY, url, tasks))


def no_change(harness: Harness) -> None:
    """Measure the commands that cron or a person runs most often, when nothing has changed."""
    tasks = harness.options.large
    url, api = harness.large_mirror(tasks), harness.api(tasks)
    for _ in range(harness.options.rounds):
        for command in ("sync", "status", "--help"):
            harness.run("no-change", [command], api, Job(api.url, KEY, url, tasks))


def scale(harness: Harness) -> None:
    """Measure whether a large account takes more for each task than a small one, or more memory."""
    small, large = harness.options.tasks, harness.options.large
    for round_ in range(harness.options.rounds):
        for engine in harness.options.engines:
            for tasks in (small, large):
                if (round_, engine, tasks) == (0, "sqlite", large):
                    harness.large_mirror(large)
                    continue
                api = harness.api(tasks)
                with harness.fresh(engine) as url:
                    harness.copy("scale", SCALESYNC, api, Job(api.url, KEY, url, tasks))


def queue(harness: Harness) -> None:
    """Submit tasks from a file, and send some to an API that takes its time for each request."""
    queued, sent, looped = harness.options.queued, harness.options.dispatched, harness.options.looped
    api = harness.api(1, SENDING_LATENCY)
    dispatch = ["dispatch", "--workers", str(SENDING_WORKERS)]
    for round_ in range(harness.options.rounds):
        with harness.fresh("sqlite") as url:
            harness.init(api, url)
            job = Job(api.url, KEY, url, queued)
            submit = harness.submission(f"queued-{round_}", queued)
            harness.run("queue", submit, api, job, name="task create --from")
        with harness.fresh("sqlite") as url:
            harness.init(api, url)
            run_scalesync(harness.submission(f"sent-{round_}", sent), api.url, url)
            harness.run("dispatch", dispatch, api, Job(api.url, KEY, url, sent))
        if not (A_LOOP.missing or harness.options.alone):
            payloads = str(harness.payloads(f"looped-{round_}", looped))
            job = Job(api.url, KEY, "sqlite:///none", looped, payloads=payloads)
            harness.turn("dispatch", A_LOOP, api, job)


def verify(harness: Harness) -> None:
    """Verify a mirror in which nothing differs, by the command: it exits with 0 only if that is proven."""
    tasks = harness.options.verified
    url, api = harness.large_mirror(tasks), harness.api(tasks)
    for _ in range(harness.options.rounds):
        harness.run("verify", ["verify"], api, Job(api.url, KEY, url, tasks))


def reading(harness: Harness) -> None:
    """Read every task through the drop-in client from a finished mirror, and with the official one."""
    tasks = harness.options.tasks
    api = harness.api(tasks)
    with harness.fresh("sqlite") as url:
        harness.init(api, url)
        run_scalesync(["--quiet", "sync"], api.url, url)
        for _ in range(harness.options.rounds):
            for method in METHODS:
                job = Job(api.url, KEY, url, tasks, paged=method != METHODS[0])
                harness.turn("reading", Peer(DROP_IN.format(method), "reader"), api, job)
                official = Peer(OFFICIAL_READER.format(method), "official_reader", needs=("scaleapi",))
                if not (official.missing or harness.options.alone):
                    harness.turn("reading", official, api, job)


ALL = {
    "sync": sync,
    "latency": latency,
    "no-change": no_change,
    "scale": scale,
    "queue": queue,
    "verify": verify,
    "resume": resume,
    "reading": reading,
    "pages": pages,
    "hosts": hosts,
    "large": large,
    "publish": publish,
}
"""By name."""
