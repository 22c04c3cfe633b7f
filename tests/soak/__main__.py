"""Run a soak and say what came of it; ends with 1 if anything is not as it should be."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from scalesync import Mirror
from tests.soak import api as sandbox
from tests.soak.final_check import DISPATCH, FinalCheck
from tests.soak.options import Options, parse
from tests.soak.processes import Processes, Role
from tests.soak.report import Report
from tests.soak.sampler import Sampler
from tests.soak.submitter import Submitter
from tests.soak.verdict import people
from tests.support.databases import durable_server
from tests.support.sandboxes import LIVE_KEY

READING = frozenset({0, 1, 4, 6})
SENDING = frozenset({0, 1, 4, 7})


def main() -> int:
    """Return the exit code."""
    options = parse(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="scalesync-soak-") as directory, ExitStack() as stack:
        say(f"making an account of {options.tasks:,} tasks")
        api = stack.enter_context(
            sandbox.running(
                tasks=options.tasks, seed=options.seed, annotate=options.annotate, changes=options.changes
            )
        )
        url = stack.enter_context(durable_server()).url("postgres")
        report = soak(options, api, url, Path(directory))
    sys.stdout.write(report.table())
    if options.out is not None:
        options.out.write_text(report.as_json())
    return 0 if report.ok else 1


def soak(options: Options, api: sandbox.Api, url: str, directory: Path) -> Report:
    """Let everything happen at once for as long as was asked, then look at what came of it."""
    mirror = Mirror(url, api_key=LIVE_KEY, api_url=api.url)
    mirror.init()
    environment = {
        "SCALE_API_KEY": LIVE_KEY,
        "SCALESYNC_API_URL": api.url,
        "SCALESYNC_DB": url,
        "SCALESYNC_LEASE": options.lease,
    }
    processes = Processes(environment, options.seed)
    submitter = Submitter(processes, mirror, directory, options.batch, options.submit_every)
    submitter.prepare()
    api.say("faults")
    with Sampler(processes, url, api.process.pid) as sampler:
        with processes.keeping(roles(options)):
            thread = submitter.start()
            say(f"{options.minutes:g} minutes of faults, people, kills")
            processes.disturb(options.seconds, options.kill_every)
            processes.stopping.set()
            thread.join()
        rough = processes.now
        asked = api.ask("/requests")
        api.say("quiet")
        say("quiet")
        checks = list(FinalCheck(processes, api, url, directory, submitter).checks())
    return Report(options, processes, submitter, sampler, rough, asked, people(directory), tuple(checks))


def roles(options: Options) -> tuple[Role, ...]:
    """Return what is kept running."""
    last_full = 0.0

    def sync(now: float) -> tuple[str, ...]:
        nonlocal last_full
        if now - last_full < options.full_every:
            return ("sync", "--json")
        last_full = now
        return ("sync", "--full", "--json")

    return (
        Role("sync", sync, READING),
        Role("sync 2", lambda _: ("sync", "--json", "--workers", "2"), READING, pause=3.0),
        Role("dispatch", lambda _: DISPATCH, SENDING),
        Role("dispatch --watch", lambda _: (*DISPATCH, "--watch"), SENDING),
        Role("verify", lambda _: ("verify", "--json"), READING, pause=5.0),
    )


def say(text: str) -> None:
    """Tell on stderr how far it is."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
