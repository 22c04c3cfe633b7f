"""Log events to stderr: with --verbose as name and fields, otherwise warnings as sentences."""

import logging
import time
from dataclasses import fields
from typing import Any

import click

from scalesync.cli.output import single_line

RETRY_LINE_SECONDS = 5.0
"""Between two lines about retries."""

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def log_to_stderr(verbose: int, *, quiet: bool) -> None:
    """Log warnings to stderr; with `verbose` 1 all events, with 2 all requests; if `quiet` only errors."""
    handler = _StderrHandler()
    handler.setFormatter(_FieldsFormatter())
    if quiet:
        handler.setLevel(logging.ERROR)
    elif not verbose:
        handler.setFormatter(_SentenceFormatter())
        handler.addFilter(_RetryFilter())
    logger = logging.getLogger("scalesync")
    # Replaced, not added: this is called again if -v or -q follow the command's name.
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    logger.propagate = False


def fields_of(event: Any) -> dict[str, object]:
    """Return the fields of an event, a dataclass, as `extra` of a log record."""
    return {field.name: getattr(event, field.name) for field in fields(event)}


class _StderrHandler(logging.Handler):
    """Writes to the present `sys.stderr`, which a progress bar replaces while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        click.echo(single_line(self.format(record)), err=True)


class _FieldsFormatter(logging.Formatter):
    """An event's fixed name, followed by its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = (f"{name}={value}" for name, value in vars(record).items() if name not in _RECORD_FIELDS)
        return " ".join([record.levelname.lower(), record.name, record.getMessage(), *fields])


class _SentenceFormatter(logging.Formatter):
    """A sentence for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one sentence."""
        if record.msg != "retrying":
            return f"Warning: {record.getMessage()}"
        fields = vars(record)
        failure = fields.get("status") or fields.get("reason")
        return f"the API failed ({failure}); trying again in {fields.get('seconds', 0):.1f} s"


class _RetryFilter(logging.Filter):
    """Passes warnings, and retries at most every RETRY_LINE_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_at = -RETRY_LINE_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print the record."""
        if record.levelno >= logging.WARNING:
            return True
        now = time.monotonic()
        due = record.msg == "retrying" and now - self._passed_at >= RETRY_LINE_SECONDS
        if due:
            self._passed_at = now
        return due
