"""Progress on stderr, the same for every kind of work: bars on a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.logs import fields_of
from scalesync.cli.output import single_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY = 5.0
"""Seconds between two lines about the same thing where there is no terminal."""


class Tracker:
    """Counts the events of one kind of work and puts them into words; each kind is a subclass."""

    log: logging.Logger
    """Every event is logged there, by its `name`."""
    minor: tuple[type, ...] = ()
    """Events that are logged for debugging only."""

    def count(self, event: Any) -> None:
        """Add the event to what was counted so far."""

    def describe(self, event: Any) -> str | None:  # noqa: ARG002 - what a kind may answer by
        """Return what to print about an event, or None."""
        return None

    def counter_of(self, event: Any) -> str | None:  # noqa: ARG002 - what a kind may answer by
        """Return the name of the counter that an event moves, or None."""
        return None

    def counters(self) -> Mapping[str, tuple[int, int | None]]:
        """Return for each counter how many are done, and of how many; None: nobody knows."""
        return {}

    def line(self, counter: str) -> str:
        """Return a counter in words."""
        raise NotImplementedError

    def last_lines(self) -> Iterable[str]:
        """Return the counters that are printed once more at the end."""
        return ()

    def fields(self, event: Any) -> dict[str, object]:
        """Return what is logged of an event besides its name."""
        return fields_of(event)


@contextmanager
def progress(tracker: Tracker, *, quiet: bool, bars: bool = True) -> Iterator[Callable[[Any], None]]:
    """Yield what is called with each event: it logs the event and, unless `quiet`, shows it on stderr."""
    if quiet:
        yield _logging(tracker, lambda _: None)
    elif bars and sys.stderr.isatty():
        with drawing() as drawn:
            yield _logging(tracker, _Bars(tracker, drawn))
    else:
        yield _logging(tracker, _Lines(tracker))
        for counter in tracker.last_lines():
            _print(tracker.line(counter))


def _logging(tracker: Tracker, show: Callable[[Any], None]) -> Callable[[Any], None]:
    def on_event(event: Any) -> None:
        level = logging.DEBUG if isinstance(event, tracker.minor) else logging.INFO
        tracker.log.log(level, event.name, extra=tracker.fields(event))
        tracker.count(event)
        show(event)

    return on_event


def _print(text: str) -> None:
    click.echo(single_line(text), err=True)


@dataclass
class _Lines:
    """Prints plain lines."""

    tracker: Tracker
    printed_at: dict[str, float] = field(default_factory=dict)
    last: str | None = None

    def __call__(self, event: Any) -> None:
        """Print the counter that the event moves, if that was long ago, and what is said of the event."""
        counter, now = self.tracker.counter_of(event), time.monotonic()
        if counter is not None and now - self.printed_at.setdefault(counter, now) >= EVERY:
            self.printed_at[counter] = now
            _print(self.tracker.line(counter))
        text = self.tracker.describe(event)
        # Waiting is an event every quarter of a second: one line is enough for it.
        repeated = isinstance(event, self.tracker.minor) and text == self.last
        if text and not repeated:
            _print(text)
        self.last = text


@dataclass
class _Bars:
    """Draws a bar for each counter, and prints above them what is said of events."""

    tracker: Tracker
    drawn: "Progress"
    bars: "dict[str, TaskID]" = field(default_factory=dict)

    def __call__(self, event: Any) -> None:
        """Move the bars, and print what is said of the event."""
        for counter, (done, total) in self.tracker.counters().items():
            if counter not in self.bars:
                self.bars[counter] = self.drawn.add_task(counter, visible=False)
            visible = total is None or total > 0
            self.drawn.update(self.bars[counter], completed=done, total=total or None, visible=visible)
        if not isinstance(event, self.tracker.minor) and (text := self.tracker.describe(event)):
            self.drawn.console.print(single_line(text), markup=False, highlight=False)


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
