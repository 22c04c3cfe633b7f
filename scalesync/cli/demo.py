"""The demo: a made-up account is mirrored, annotated and asked in SQL; then work is submitted without it."""

import tempfile
from dataclasses import replace
from pathlib import Path

import click

from scalesync.app import App
from scalesync.cli import demo_offline
from scalesync.cli.boundary import stoppable
from scalesync.cli.context import Context
from scalesync.cli.demo_stage import Stage
from scalesync.clock import Clock
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.settings import Secret, Settings, database_url

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
    directory = Path(tempfile.mkdtemp(prefix="scalesync-demo-"))
    path, clock = directory / "scalesync.db", Clock()
    world = SandboxOptions(tasks=tasks, seed=1, state=directory / "scale.db")
    with stoppable(clock, "this step"):
        with SandboxServer(world) as server:
            world = replace(world, port=server.port)
            app = App(Settings(database_url(str(path)), server.url, Secret("live_demo")), clock)
            stage = Stage(app, quiet=context.quiet)
            _mirror(stage, server, tasks)
        demo_offline.run(stage, world)
    stage.title("The mirror stays here; ask it anything")
    click.echo(f"{path}\n  scalesync --db {path} status\n  sqlite3 {path}")


def _mirror(stage: Stage, server: SandboxServer, tasks: int) -> None:
    """Copy the account, let it change, bring the copy up to date, and ask it two questions."""
    stage.title(f"A made-up Scale account with {tasks:,} tasks, behind a real API on this machine")
    click.echo(server.url)
    stage.app.init(adopt=False)
    stage.title("First sync: everything")
    stage.sync()
    stage.title(f"Annotators at work: {CHANGES} changes at the API, then a second sync: what changed")
    server.world.churn(CHANGES)
    stage.sync()
    for question, statement in QUESTIONS:
        stage.title(question)
        stage.ask(statement)
