"""Events on stderr: a fixed name and fields each, and a sentence for those that everybody should see."""

import logging
import time
from dataclasses import fields
from typing import Any

import click

from scalesync.cli.output import single_line

EVERY = 5.0
"""Seconds between two sentences about the API's failures."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def log_to_stderr(verbose: int, *, quiet: bool) -> None:
    """Show warnings; with `verbose` 1 every event, with 2 every request; when `quiet` errors only."""
    handler = _Stderr()
    handler.setFormatter(_Fields())
    if quiet:
        handler.setLevel(logging.ERROR)
    elif not verbose:
        handler.setFormatter(_Sentences())
        handler.addFilter(_Seldom())
    logger = logging.getLogger("scalesync")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    logger.propagate = False


def fields_of(event: Any) -> dict[str, object]:
    """Return the fields of an event, a dataclass, as `extra` of a log record takes them."""
    return {field.name: getattr(event, field.name) for field in fields(event)}


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the moment: a progress bar puts its own in place while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        click.echo(single_line(self.format(record)), err=True)


class _Fields(logging.Formatter):
    """An event's fixed name, followed by its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = (f"{name}={value}" for name, value in vars(record).items() if name not in _OWN)
        return " ".join([record.levelname.lower(), record.name, record.getMessage(), *fields])


class _Sentences(logging.Formatter):
    """What a person wants to read who did not ask for events."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one sentence."""
        if record.msg != "retrying":
            return f"Warning: {record.getMessage()}"
        fields = vars(record)
        failure = fields.get("status") or fields.get("reason")
        return f"the API failed ({failure}); trying again in {fields.get('seconds', 0):.1f} s"


class _Seldom(logging.Filter):
    """Lets warnings pass, and now and then that a request is tried again."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = -EVERY

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the event is worth a sentence now."""
        if record.levelno >= logging.WARNING:
            return True
        now = time.monotonic()
        due = record.msg == "retrying" and now - self._told_at >= EVERY
        if due:
            self._told_at = now
        return due
