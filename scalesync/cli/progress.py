"""Show progress on stderr: bars on a terminal, otherwise a line every few seconds."""

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

PROGRESS_SECONDS = 5.0
"""Between two lines about the same counter, without a terminal."""


class Tracker:
    """Base class: counts the events of one kind of work and describes them in sentences."""

    log: logging.Logger
    """Logger for all events; the message is the event's `name`."""
    minor: tuple[type, ...] = ()
    """Events that are logged at DEBUG and not printed."""
    counter: str
    """The name of the counter, if there is only one."""
    counted: type = object
    """The events that change it."""

    def count(self, event: Any) -> None:
        """Update the counters with an event."""

    def describe(self, event: Any) -> str | None:  # noqa: ARG002 - for subclasses
        """Return a line to print about an event, or None."""
        return None

    def counter_of(self, event: Any) -> str | None:
        """Return the name of the counter that an event changes, or None."""
        return self.counter if isinstance(event, self.counted) else None

    def counters(self) -> Mapping[str, tuple[int, int | None]]:
        """Return (done, total) by counter; a total of None is unknown."""
        return {}

    def line(self, counter: str) -> str:
        """Return a counter as a sentence."""
        raise NotImplementedError

    def last_lines(self) -> Iterable[str]:
        """Return the counters to print once more at the end."""
        return ()

    def fields(self, event: Any) -> dict[str, object]:
        """Return the log fields of an event."""
        return fields_of(event)


@contextmanager
def progress(tracker: Tracker, *, quiet: bool, bars: bool = True) -> Iterator[Callable[[Any], None]]:
    """Yield a callback for events, which logs them and, unless `quiet`, shows them on stderr."""
    if quiet:
        yield _with_logging(tracker, lambda _: None)
    elif bars and sys.stderr.isatty():
        with progress_bars() as drawn:
            yield _with_logging(tracker, _BarPrinter(tracker, drawn))
    else:
        yield _with_logging(tracker, _LinePrinter(tracker))
        for counter in tracker.last_lines():
            _print_stderr(tracker.line(counter))


def _with_logging(tracker: Tracker, show: Callable[[Any], None]) -> Callable[[Any], None]:
    def on_event(event: Any) -> None:
        level = logging.DEBUG if isinstance(event, tracker.minor) else logging.INFO
        tracker.log.log(level, event.name, extra=tracker.fields(event))
        tracker.count(event)
        show(event)

    return on_event


def _print_stderr(text: str) -> None:
    click.echo(single_line(text), err=True)


@dataclass
class _LinePrinter:
    """Prints plain lines."""

    tracker: Tracker
    printed_at: dict[str, float] = field(default_factory=dict)
    last: str | None = None

    def __call__(self, event: Any) -> None:
        """Print the event's counter if it is due, and the event's description."""
        counter, now = self.tracker.counter_of(event), time.monotonic()
        # `setdefault` starts the interval at the counter's first event: short work prints no counter.
        if counter is not None and now - self.printed_at.setdefault(counter, now) >= PROGRESS_SECONDS:
            self.printed_at[counter] = now
            _print_stderr(self.tracker.line(counter))
        text = self.tracker.describe(event)
        # Waiting is an event every quarter of a second: one line is enough for it.
        repeated = isinstance(event, self.tracker.minor) and text == self.last
        if text and not repeated:
            _print_stderr(text)
        self.last = text


@dataclass
class _BarPrinter:
    """Draws a bar for each counter, and prints descriptions of events above them."""

    tracker: Tracker
    progress: "Progress"
    bars: "dict[str, TaskID]" = field(default_factory=dict)

    def __call__(self, event: Any) -> None:
        """Update the bars, and print the event's description."""
        for counter, (done, total) in self.tracker.counters().items():
            if counter not in self.bars:
                self.bars[counter] = self.progress.add_task(counter, visible=False)
            # A bar of zero rows would look stuck; it appears with the first expected row.
            visible = total is None or total > 0
            self.progress.update(self.bars[counter], completed=done, total=total or None, visible=visible)
        if not isinstance(event, self.tracker.minor) and (text := self.tracker.describe(event)):
            self.progress.console.print(single_line(text), markup=False, highlight=False)


def progress_bars() -> "Progress":
    """Return a context manager that draws bars on stderr."""
    import rich.console
    import rich.progress

    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description:<8}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(stderr=True),
    )
