"""The pages `/queue`, with what waits and what mends it, and `/sql`, for questions of one's own."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from scalesync.errors import ConfigurationError
from scalesync.export.csv_jsonl import csv_lines, json_lines
from scalesync.models.commands import Command
from scalesync.models.queue_state import CommandView, DisplayState
from scalesync.web.charts import SCRIPTS, chart_of
from scalesync.web.pages import PageRequest, Table, WebPage, as_text

SQL_SECONDS = 10.0
"""How long the database may be at work on a statement."""
_ROWS_SHOWN = 500
_LONGEST_STATEMENT = 100_000
_COLUMNS = ("id", "kind", "name", "state", "sends", "created_at", "reason", "mend")


class QueueRow(NamedTuple):
    """A command of the queue, and the command line that mends it."""

    id: int
    kind: str
    name: str
    state: str
    sends: int
    created_at: object
    reason: str
    mend: str


def queue(request: PageRequest) -> WebPage:
    """Return the queue: what needs a person, then what waits, and why."""
    for name, _ in request.query:
        if name != "after":
            raise ConfigurationError(f"There is no filter {name!r} here.", advice="Leave it out.")
    after = request.number("after", 0, 2**63 - 1)
    found = request.mirror.queue_page(after)
    urgent = [_row(each) for each in found.urgent]
    waiting = [_row(each) for each in found.waiting]
    values = {
        "title": "Queue",
        "stats": found.stats,
        "pause": found.pause,
        "urgent": urgent,
        "urgent_more": found.urgent_more,
        "waiting": waiting,
        "columns": _COLUMNS,
        "more_address": None if found.behind is None else f"/queue?after={found.behind}",
    }
    document = {
        "open": found.stats.open,
        "by_state": found.stats.by_state,
        "needs_a_person": found.stats.needs_a_person,
        "paused": found.pause.reason if found.pause.paused else None,
        "urgent": [row._asdict() for row in urgent],
        "urgent_more": found.urgent_more,
        "waiting": [row._asdict() for row in waiting],
        "more": values["more_address"],
    }
    rows = [row._asdict() for row in [*urgent, *waiting]]
    return WebPage("queue.html", values, document, Table.of(_COLUMNS, rows))


def _row(shown: CommandView) -> QueueRow:
    command = shown.command
    return QueueRow(
        command.id,
        str(command.kind),
        command.resource.partition(":")[2] or command.resource,
        str(shown.display),
        command.sends,
        command.created_at,
        shown.reason or command.error or "",
        _mend(command, shown.display),
    )


def _mend(command: Command, state: DisplayState) -> str:
    """Return the command line that settles a command, or says what it waits for; empty: none is needed."""
    if state in (DisplayState.DEAD, DisplayState.HELD):
        return f"scalesync queue retry {command.id}"
    if state is DisplayState.IN_DOUBT:
        return "scalesync queue reconcile"
    if state is DisplayState.BLOCKED:
        return f"scalesync queue why {command.id}"
    return "scalesync dispatch" if state is DisplayState.READY else ""


def sql(request: PageRequest) -> WebPage:
    """Return the answer to the statement in the address; without one, the form for it."""
    for name, _ in request.query:
        if name != "q":
            raise ConfigurationError(f"There is no {name!r} here.", advice="Give a statement as q.")
    statement = request.one("q")
    if len(statement) > _LONGEST_STATEMENT:
        raise ConfigurationError("The statement is too long for an address.", advice="Use `scalesync sql -`.")
    if not statement.strip():
        empty: dict[str, object] = {"title": "SQL", "statement": "", "columns": None, "rows": []}
        return WebPage("sql.html", empty | {"more": False, "chart": None, "scripts": ()}, [], Table([], []))
    if request.form != "html":
        # All rows, as they come: an answer may be larger than the memory.
        return WebPage("sql.html", {}, None, stream=_begun(_lines(request, statement)))
    with request.mirror.exporter.answer(statement, seconds=SQL_SECONDS) as answer:
        found = list(islice(answer.rows, _ROWS_SHOWN + 1))
        columns = [column.name for column in answer.columns]
    rows = [[as_text(value) for value in row] for row in found]
    values = {
        "title": "SQL",
        "statement": statement,
        "columns": columns,
        "rows": rows[:_ROWS_SHOWN],
        "more": len(rows) > _ROWS_SHOWN,
        "chart": chart_of(columns, found[:_ROWS_SHOWN]),
        "scripts": SCRIPTS,
    }
    return WebPage("sql.html", values, None)


def _lines(request: PageRequest, statement: str) -> Iterator[bytes]:
    with request.mirror.exporter.answer(statement, seconds=SQL_SECONDS) as answer:
        if request.form == "csv":
            for line in csv_lines(answer.columns, answer.rows):
                yield line + b"\n"
            return
        before = b"["
        for line in json_lines(answer.columns, answer.rows):
            yield before + line
            before = b",\n"
        yield b"[]" if before == b"[" else b"]"


def _begun(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Return the lines once the first is here, so that a wrong statement is an error and no answer."""
    first: Sequence[bytes] = list(islice(lines, 1))
    return chain(first, lines)
