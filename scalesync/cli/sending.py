"""How a dispatcher shows on stderr: a bar on a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from scalesync.cli.logs import fields_of
from scalesync.cli.output import format_duration, single_line
from scalesync.cli.progress import EVERY, drawing
from scalesync.cli.queue_format import subject
from scalesync.models.commands import CommandState
from scalesync.queue.events import (
    AccessDenied,
    ApiUnreachable,
    CommandSettled,
    DispatchEvent,
    DispatchWatcher,
    Idle,
    QueueUnavailable,
    StepStarted,
    Throttled,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger("scalesync.queue")

_ENDED = (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
_WITHOUT_EFFECT = (CommandState.DEAD, CommandState.DISCARDED)


@contextmanager
def watching(*, quiet: bool, total: int | None) -> Iterator[DispatchWatcher]:
    """Lend a watcher that fits stderr; `total` is how many commands there are to end, None: nobody knows."""
    if quiet:
        yield _logging(lambda _: None)
    elif sys.stderr.isatty():
        with drawing() as bars:
            yield _logging(Bar(bars, bars.add_task("commands", total=total)))
    else:
        yield _logging(Lines())


def _logging(watch: DispatchWatcher) -> DispatchWatcher:
    def note(event: DispatchEvent) -> None:
        level = logging.DEBUG if isinstance(event, StepStarted | Idle) else logging.INFO
        log.log(level, event.name, extra=_fields(event))
        watch(event)

    return note


def _fields(event: DispatchEvent) -> dict[str, object]:
    """Return what is logged of an event: no payload."""
    if isinstance(event, CommandSettled):
        verdict = event.settlement
        return {
            "command": event.command.id,
            "kind": event.command.kind,
            "state": verdict.state,
            "outcome": verdict.outcome,
            "status": verdict.error_code,
        }
    return fields_of(event)


def sentence(event: DispatchEvent) -> str | None:
    """Return what is said of an event in words, if anything is."""
    match event:
        case CommandSettled(command, verdict) if verdict.state in _WITHOUT_EFFECT or verdict.hold_reason:
            what = "held" if verdict.hold_reason else verdict.state
            why = verdict.hold_reason or " ".join(
                str(part) for part in (verdict.error_code, verdict.error) if part is not None
            )
            return f"command {command.id}, {command.kind} {subject(command)}, is {what}: {why}"
        case Throttled(seconds, reason):
            return f"{reason.rstrip('.')}; all wait for {format_duration(seconds)}"
        case AccessDenied(reason):
            return f"{reason.rstrip('.')}; nothing more is sent"
        case ApiUnreachable(seconds, reason) | QueueUnavailable(seconds, reason):
            return f"{reason.rstrip('.')}; trying again in {format_duration(seconds)}"
        case Idle(seconds) if seconds is None:
            return "waiting for work"
    return None


@dataclass
class Told:
    """What was said and counted so far."""

    ended: Counter[str] = field(default_factory=Counter)
    """How many commands were settled for good, by state."""
    in_doubt: set[int] = field(default_factory=set)
    offline_at: float = -EVERY

    def words(self, event: DispatchEvent) -> str | None:
        """Take note of an event and return what to say of it; not too often that the API is away."""
        if isinstance(event, CommandSettled):
            self._count(event)
        elif isinstance(event, ApiUnreachable | QueueUnavailable):
            now = time.monotonic()
            if now - self.offline_at < EVERY:
                return None
            self.offline_at = now
        return sentence(event)

    def _count(self, settled: CommandSettled) -> None:
        state = settled.settlement.state
        if state is CommandState.IN_DOUBT:
            self.in_doubt.add(settled.command.id)
        else:
            self.in_doubt.discard(settled.command.id)
        if state in _ENDED:
            self.ended[state] += 1

    def counts(self) -> str:
        """Return how many commands are where."""
        doubt = {"in doubt": len(self.in_doubt)} if self.in_doubt else {}
        return ", ".join(f"{count:,} {state}" for state, count in (dict(self.ended) | doubt).items())


@dataclass
class Lines:
    """Says what happens in plain lines."""

    told: Told = field(default_factory=Told)
    counted_at: float = field(default_factory=time.monotonic)

    def __call__(self, event: DispatchEvent) -> None:
        """Say what is worth a line, and the counts now and then."""
        if text := self.told.words(event):
            click.echo(single_line(text), err=True)
        now = time.monotonic()
        counts = self.told.counts()
        if counts and isinstance(event, CommandSettled) and now - self.counted_at >= EVERY:
            self.counted_at = now
            click.echo(counts, err=True)


@dataclass
class Bar:
    """Draws how many commands are settled for good."""

    progress: "Progress"
    bar: "TaskID"
    told: Told = field(default_factory=Told)

    def __call__(self, event: DispatchEvent) -> None:
        """Move the bar, and print above it what is worth a line."""
        if text := self.told.words(event):
            self.progress.console.print(single_line(text), markup=False, highlight=False)
        if isinstance(event, CommandSettled):
            self.progress.update(self.bar, completed=self.told.ended.total())
