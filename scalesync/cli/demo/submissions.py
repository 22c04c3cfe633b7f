"""The demo's second half: submit offline, and dispatch exactly once through an API that loses answers."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from scalesync.cli import queue_format
from scalesync.cli.demo.stage import Stage
from scalesync.cli.output import print_table, print_text
from scalesync.errors import IncompleteError
from scalesync.models.commands import GENERATED
from scalesync.models.queue_state import DisplayState
from scalesync.queue.transaction import Transaction
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.sandbox.backend import Backend
from scalesync.sandbox.media import MEDIA_PATH
from scalesync.sandbox.server import HOST

TASKS = 50
PROJECT, BATCH = "Night scenes", "night 1"
FAULTS = (
    "applied-then-dropped:20%@POST /task/*",
    "applied-then-500:10%@POST /task/*",
    "500:10%@POST /task/*",
    "reset:5%@POST /task/*",
    "503:100%@GET /tasks",
)
"""Creates are applied without an answer, and look-ups fail."""

STATES = """SELECT kind, state, count(*) AS commands, sum(sends) AS sends
FROM commands GROUP BY kind, state ORDER BY min(id)"""
ROWS = f"""SELECT t.batch, b.status AS batch_status, t.status, count(*) AS tasks,
       count(DISTINCT t.unique_id) AS unique_ids, min(c.sends) AS fewest_sends, max(c.sends) AS most_sends
FROM tasks t
JOIN batches b ON b.name = t.batch
JOIN commands c ON c.resource = 'task:' || t.unique_id
WHERE t.project = '{PROJECT}'
GROUP BY t.batch, b.status, t.status"""  # noqa: S608 - a name of our own, shown as people would write it


def run(stage: Stage, options: SandboxOptions) -> None:
    """Run the second half. Raises IncompleteError unless every command had its effect exactly once."""
    pictures = f"http://{HOST}:{options.port}{MEDIA_PATH}/pictures"
    stage.title("Pull the plug: no API, no network. Submit a project, a batch, 50 tasks and a finalize")
    with stage.mirror.transaction() as tx:
        _submit(tx, pictures)
    _show_queue(stage)
    stage.title("Submit the same again: nothing is queued twice")
    with stage.mirror.transaction() as tx:
        before = _submit(tx, pictures)
    print_text(f"{before} of {before} were queued before")
    stage.title("Try to send it now: the API is away, and nothing is lost")
    stage.dispatch(patience=0.5)
    stage.title("Plug in again, on a bad day: the API does things without saying so, and cannot be asked")
    with SandboxServer(replace(options, faults=FAULTS)) as server:
        stage.dispatch(workers=4, patience=0.2)
        stage.title("What became of the commands")
        stage.query(STATES)
        server.backend.faults.replace([])
        _settle(stage, server.backend)
        stage.title(
            "A sync brings nothing new: what a dispatch delivers is in the mirror with the same commit"
        )
        stage.sync()
        stage.keep_attachments(project=PROJECT)
    stage.title("The same rows in SQL")
    stage.query(ROWS)


def _submit(tx: Transaction, pictures: str) -> int:
    """Queue all commands, with pictures at that address; return how many of them were queued before."""
    answers = [
        tx.create_project(PROJECT, "imageannotation", {"instruction": "Box every car."}, studio=True),
        tx.create_batch(BATCH, PROJECT),
    ]
    tasks = tx.create_tasks("imageannotation", _tasks(pictures))
    answers.append(tx.finalize_batch(BATCH))
    return len(tasks.already_queued) + sum(not answer.new for answer in answers)


def _tasks(pictures: str) -> Iterator[dict[str, object]]:
    for number in range(1, TASKS + 1):
        yield {
            "project": PROJECT,
            "batch": BATCH,
            "attachment": f"{pictures}/night-{number:02}.png",
            "metadata": {"frame": number},
        }


def _show_queue(stage: Stage) -> None:
    first = list(stage.mirror.queue.commands(limit=4))
    last = list(stage.mirror.queue.commands(kind="finalize_batch"))
    print_table(queue_format.COLUMNS, map(queue_format.row, first + last))
    for text in queue_format.queue_sentences(*stage.mirror.queue.depth()):
        print_text(text)


def _settle(stage: Stage, options: Backend) -> None:
    """Look up commands in doubt, send the rest, and compare the API's effects with the commands."""
    doubt = list(stage.mirror.queue.commands(state=DisplayState.IN_DOUBT))
    stage.title(
        f"{len(doubt)} tasks may or may not be there. The API can be asked again: ask, and send nothing"
    )
    stage.dispatch(reconcile_only=True, patience=5.0)
    stage.title("Send the rest; the finalize comes last")
    stage.dispatch(patience=5.0)
    stage.title("What the API did, by its own count")
    counts = Counter(
        (kind, effect, count) for kind, name, effect, count in options.applied if _is_demo_object(kind, name)
    )
    print_table(
        ("object", "effect", "times", "objects"), [(*what, much) for what, much in sorted(counts.items())]
    )
    if any(times != 1 for _, _, times in counts) or counts["unique_id", "created", 1] != TASKS:
        raise IncompleteError("The demo's commands did not have their effect exactly once.")


def _is_demo_object(kind: str, name: str) -> bool:
    """Return whether the demo created an object; its tasks have generated unique_ids."""
    return name in (PROJECT, BATCH) or (kind == "unique_id" and name.startswith(GENERATED))
