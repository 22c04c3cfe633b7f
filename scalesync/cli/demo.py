"""The demo: a made-up account, a first sync, some annotations, a second sync, and two answers in SQL."""

import tempfile
from pathlib import Path

import click

from scalesync.app import App
from scalesync.cli.boundary import stoppable
from scalesync.cli.context import Context
from scalesync.cli.output import plain, print_table
from scalesync.cli.progress import watching
from scalesync.cli.sync import print_changes
from scalesync.clock import Clock
from scalesync.db.sql import answer
from scalesync.errors import IncompleteError, InterruptedRunError
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.settings import Secret, Settings, database_url
from scalesync.sync.plan import Request

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
        "Which unfinished batches wait for the most tasks?",
        """SELECT name, status, tasks_pending, tasks_completed
FROM batches WHERE status <> 'completed'
ORDER BY tasks_pending DESC LIMIT 5""",
    ),
)


def run(context: Context, tasks: int) -> None:
    """Tell the story. Raises ScalesyncError if any part of it fails."""
    path = Path(tempfile.mkdtemp(prefix="scalesync-demo-")) / "scalesync.db"
    clock = Clock()
    with stoppable(clock):
        _title(f"A made-up Scale account with {tasks:,} tasks, behind a real API on this machine")
        with SandboxServer(SandboxOptions(tasks=tasks, seed=1)) as server:
            click.echo(f"{server.url}")
            app = App(Settings(database_url(str(path)), server.url, Secret("live_demo")), clock)
            app.init(adopt=False)
            _title("First sync: everything")
            _sync(context, app)
            _title(f"Annotators at work: {CHANGES} changes at the API, then a second sync: what changed")
            server.world.churn(CHANGES)
            _sync(context, app)
    for question, statement in QUESTIONS:
        _title(question)
        click.echo(statement + "\n")
        with app.database() as database, database.read() as conn:
            print_table(*answer(conn, statement))
    _title("The mirror stays here; ask it anything")
    click.echo(f"{path}\n  scalesync --db {path} status\n  sqlite3 {path}")


def _sync(context: Context, app: App) -> None:
    with watching(quiet=context.quiet) as watch:
        summary = app.sync(Request(), watch, workers=8, time_limit=None)
    if app.clock.stopping.is_set():
        raise InterruptedRunError("The demo was stopped.")
    if not summary.complete:
        raise IncompleteError("The demo's sync did not complete.")
    print_changes(summary)


def _title(text: str) -> None:
    click.echo(click.style(f"\n{plain(text)}", bold=True))
