"""The demo: a made-up account is mirrored, annotated and asked in SQL; then work is submitted without it."""

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
from scalesync.cli.demo import offline
from scalesync.cli.demo.stage import Stage
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import program
from scalesync.clock import Clock
from scalesync.mirror import Mirror
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.settings import Secret, Settings, database_url

_PREFIX, _STATE = "scalesync-demo-", "scale.db"

CHANGES = 60
"""What annotators and customers do between the two syncs."""

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
    """Tell the story. Raises ScalesyncError if any part of it fails."""
    clock = Clock()
    with graceful_shutdown(clock, "this step"), _directory() as directory:
        path = directory / "scalesync.db"
        world = SandboxOptions(tasks=tasks, seed=1, state=directory / _STATE)
        with SandboxServer(world) as server:
            world = replace(world, port=server.port)
            settings = Settings(database_url(str(path)), server.url, Secret("live_demo"))
            stage = Stage(Mirror.from_settings(settings, clock), clock, quiet=context.quiet)
            _mirror(stage, server, tasks)
        offline.run(stage, world)
    stage.title("The mirror stays here until the next demo; ask it anything")
    here = f"{program()} --db {shlex.quote(str(path))}"
    click.echo(f"{path}\n  {here} status\n  {here} task list")


@contextmanager
def _directory() -> Iterator[Path]:
    """Yield a new directory, which stays, and remove those of earlier demos that have ended."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # One that another demo has just made is empty.
        if (old / _STATE).exists() and not old.is_symlink():
            with suppress(OSError), _held(old):
                shutil.rmtree(old)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with _held(directory) if os.name == "posix" else nullcontext():
        yield directory


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold a directory while the block lasts. Raises OSError where another process does, or owns it."""
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
    """Copy the account, let it change, bring the copy up to date, and ask it two questions."""
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
        stage.ask(statement)
