"""How a run shows on stderr: bars on a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from scalesync.cli.logs import fields_of
from scalesync.cli.output import single_line
from scalesync.sync.events import (
    ClockWasAhead,
    DatabaseUnavailable,
    ObjectsMissing,
    OthersReading,
    PagesSaved,
    ProjectRequired,
    RowsExpected,
    RunStarted,
    SyncEvent,
    SyncWatcher,
    WindowInconsistent,
)
from scalesync.sync.planner import EVERY_STREAM
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger("scalesync.sync")

EVERY = 5.0
"""Seconds between two lines about the same stream where there is no terminal."""


@contextmanager
def watching(*, quiet: bool) -> Iterator[SyncWatcher]:
    """Lend a watcher that fits stderr: bars, lines, or nothing. It also logs every event."""
    if quiet:
        yield _logging(lambda _: None)
    elif sys.stderr.isatty():
        with drawing() as bars:
            yield _logging(Bars(bars))
    else:
        lines = Lines()
        yield _logging(lines)
        lines.close()


def _logging(watch: SyncWatcher) -> SyncWatcher:
    def note(event: SyncEvent) -> None:
        level = logging.DEBUG if isinstance(event, OthersReading) else logging.INFO
        log.log(level, event.name, extra=fields_of(event))
        watch(event)

    return note


def sentence(event: SyncEvent) -> str | None:
    """Return what is said of an event in words, if anything is."""
    said = None
    match event:
        case RunStarted(kind, started_at, resumed, _):
            begins = "goes on with the run left open" if resumed else f"begins a run ({kind})"
            said = f"scalesync {begins}, as of {format_instant(started_at)}"
        case WindowInconsistent(stream, reason, given_up):
            then = "given up" if given_up else "reading that part again"
            said = f"{stream}: {reason}; {then}"
        case ObjectsMissing(stream, keys):
            named = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
            said = f"{stream}: {len(keys)} gone at the API: {named}"
        case ProjectRequired(projects):
            said = (
                f"the API lists tasks by project only: tasks outside its {projects} projects cannot be seen"
            )
        case ClockWasAhead(stream, at, since):
            begin = "everything" if since is None else f"from {format_instant(since)} on"
            said = f"{stream}: complete up to {format_instant(at)} by a clock of the API that was ahead; "
            said += f"reading {begin}"
        case DatabaseUnavailable(seconds, reason):
            said = f"{reason.rstrip('.')}; trying again in {seconds:g} s"
        case OthersReading():
            said = "waiting for another process that holds the rest; if it has died, that comes free soon"
    return said


@dataclass
class ProgressCounts:
    """How many rows of each stream came, and how many the API counts."""

    received: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)

    def take(self, event: SyncEvent) -> None:
        """Count what the event tells."""
        if isinstance(event, RunStarted):
            told = {stream: (received, expected) for stream, received, expected in event.progress}
            for stream in (name for name in EVERY_STREAM if name in told):
                self.received[stream], self.expected[stream] = told[stream]
        elif isinstance(event, RowsExpected):
            self.expected[event.stream] = self.expected.get(event.stream, 0) + event.rows
        elif isinstance(event, PagesSaved):
            self.received[event.stream] = self.received.get(event.stream, 0) + event.rows

    def share(self, stream: str) -> tuple[int, int]:
        """Return rows received and expected. Some rows come twice where windows meet: that is no surplus."""
        received, expected = self.received.get(stream, 0), self.expected.get(stream, 0)
        return (min(received, expected), expected) if expected else (received, received)


@dataclass
class Lines:
    """Says what happens in plain lines."""

    counts: ProgressCounts = field(default_factory=ProgressCounts)
    told_at: dict[str, float] = field(default_factory=dict)
    waiting: bool = False

    def __call__(self, event: SyncEvent) -> None:
        """Count rows, and say what is worth a line."""
        if isinstance(event, OthersReading) and self.waiting:
            return
        self.waiting = isinstance(event, OthersReading)
        self.counts.take(event)
        if isinstance(event, PagesSaved):
            self._tell_now_and_then(event.stream)
        if text := sentence(event):
            click.echo(single_line(text), err=True)

    def close(self) -> None:
        """Say where each stream stands at the end."""
        for stream in self.counts.received:
            self._tell(stream)

    def _tell_now_and_then(self, stream: str) -> None:
        now = time.monotonic()
        if now - self.told_at.setdefault(stream, now) >= EVERY:
            self.told_at[stream] = now
            self._tell(stream)

    def _tell(self, stream: str) -> None:
        received, expected = self.counts.share(stream)
        share = f" ({received / expected:.0%})" if expected else ""
        click.echo(f"{stream}: {received:,} of {expected:,} rows{share}", err=True)


def drawing() -> "Progress":
    """Return what draws bars on stderr while its block lasts."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@dataclass
class Bars:
    """Draws a bar for each stream; the API's own totals are what 100 % means."""

    progress: "Progress"
    counts: ProgressCounts = field(default_factory=ProgressCounts)
    bars: "dict[str, TaskID]" = field(default_factory=dict)

    def __call__(self, event: SyncEvent) -> None:
        """Move the bars, and print above them what is worth a line."""
        self.counts.take(event)
        if isinstance(event, RunStarted | RowsExpected | PagesSaved):
            for stream in self.counts.received:
                self._draw(stream)
        if not isinstance(event, OthersReading) and (text := sentence(event)):
            self.progress.console.print(single_line(text), markup=False, highlight=False)

    def _draw(self, stream: str) -> None:
        received, expected = self.counts.share(stream)
        if stream not in self.bars:
            self.bars[stream] = self.progress.add_task(stream, visible=False)
        self.progress.update(
            self.bars[stream], completed=received, total=expected or None, visible=expected > 0
        )
