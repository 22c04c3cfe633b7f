"""The demo's first half: mirror a made-up account, change it, sync again and query it in SQL.

Also that mirror alone, for the pages of `browse --demo`.
"""

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import click

from scalesync.cli.context import Context
from scalesync.cli.demo import submissions
from scalesync.cli.demo.stage import Stage
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import program_name
from scalesync.clock import Clock
from scalesync.errors import InterruptedRunError
from scalesync.mirror import Mirror
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.settings import Secret, Settings, database_url

_PREFIX, _STATE = "scalesync-demo-", "scale.db"

CHANGES = 60
"""Changes at the API between the two syncs."""

PICTURE_DAYS = 30
"""How old the tasks are whose attachments the demo keeps, so that they can be looked at without its API."""

QUESTIONS = (
    (
        "How far is each project?",
        """SELECT project, count(*) AS tasks,
       sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS completed,
       sum(CASE WHEN status = 'pending' THEN 1 ELSE 0 END) AS pending
FROM tasks GROUP BY project ORDER BY tasks DESC""",
    ),
    (
        "What was drawn, and how often?",
        """SELECT label, geometry, sum(annotations) AS annotations, sum(tasks) AS tasks
FROM label_counts WHERE geometry IN ('box', 'polygon', 'line', 'point')
GROUP BY label, geometry ORDER BY annotations DESC, label LIMIT 6""",
    ),
)


def run(context: Context, tasks: int) -> None:
    """Run the demo. Raises ScalesyncError if any part of it fails."""
    clock = Clock()
    with graceful_shutdown(clock, "this step"), _directory() as directory:
        path = directory / "scalesync.db"
        sandbox_options = SandboxOptions(tasks=tasks, seed=1, state=directory / _STATE)
        with SandboxServer(sandbox_options) as server:
            sandbox_options = replace(sandbox_options, port=server.port)
            settings = Settings(database_url(str(path)), server.url, Secret("live_demo"))
            mirror = Mirror.from_settings(settings, clock)
            stage = Stage(mirror, clock, directory / "attachments", quiet=context.quiet)
            _mirror(stage, server, tasks)
            stage.title(f"Pictures, sounds and point clouds of the last {PICTURE_DAYS} days, kept beside it")
            stage.keep_attachments(since=f"{PICTURE_DAYS}d")
        submissions.run(stage, sandbox_options)
    stage.title("The mirror stays here until the next demo; ask it anything")
    here = f"{program_name()} --db {shlex.quote(str(path))}"
    commands = ("status", "task list", "browse", "report -o report.html")
    click.echo("\n".join([str(path), *(f"  {here} {command}" for command in commands)]))


@contextmanager
def made_up_mirror(tasks: int) -> Iterator[Mirror]:
    """Yield the mirror of a made-up account, complete and proven; both are gone at the end of the block.

    The account's API serves its pictures until then. Raises InterruptedRunError if it was stopped before.
    """
    clock = Clock()
    with (
        tempfile.TemporaryDirectory(prefix="scalesync-pages-") as directory,
        SandboxServer(SandboxOptions(tasks=tasks)) as server,
    ):
        path = Path(directory) / "scalesync.db"
        mirror = Mirror.from_settings(
            Settings(database_url(str(path)), server.url, Secret("live_demo")), clock
        )
        with graceful_shutdown(clock, "this step"):
            mirror.init()
            for step in (mirror.sync, lambda: mirror.fetch_results(allow_private=True), mirror.verify):
                if not clock.stopping.is_set():
                    step()
        if clock.stopping.is_set():
            raise InterruptedRunError("The demo was stopped.")
        yield mirror


@contextmanager
def _directory() -> Iterator[Path]:
    """Yield a new directory, which is kept, and remove those of earlier demos that have ended."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # A directory without state was just created by another demo, which has not locked it yet.
        if (old / _STATE).exists() and not old.is_symlink():
            with suppress(OSError), _lock(old):
                shutil.rmtree(old)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with _lock(directory) if os.name == "posix" else nullcontext():
        yield directory


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Lock a directory. Raises OSError if another process has locked it, or another user owns it."""
    if os.name != "posix":
        raise OSError("Directories cannot be held here.")
    import fcntl

    handle = os.open(directory, os.O_RDONLY)
    try:
        if os.fstat(handle).st_uid != os.getuid():
            raise PermissionError
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _mirror(stage: Stage, server: SandboxServer, tasks: int) -> None:
    """Sync, change the account, sync again, and run two queries."""
    stage.title(f"A made-up Scale account with {tasks:,} tasks, behind a real API on this machine")
    click.echo(server.url)
    stage.mirror.init()
    stage.title("First sync: everything")
    stage.sync()
    stage.title(f"Annotators at work: {CHANGES} changes at the API, then a second sync: what changed")
    server.backend.churn(CHANGES)
    stage.sync()
    for question, statement in QUESTIONS:
        stage.title(question)
        stage.query(statement)
