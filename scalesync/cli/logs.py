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
    logger = logging.getLogger("scalesync")
    # Replaced, not added: this is called again if -v or -q follow the command's name.
    logger.handlers[:] = [_StderrHandler(as_fields=bool(quiet or verbose))]
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose > 1 else logging.INFO)
    logger.propagate = False


def fields_of(event: Any) -> dict[str, object]:
    """Return the fields of an event, a dataclass, as `extra` of a log record."""
    return {field.name: getattr(event, field.name) for field in fields(event)}


class _StderrHandler(logging.Handler):
    """Writes to the present `sys.stderr`, which a progress bar replaces while it is drawn.

    An event is its fixed name and its fields; otherwise warnings are sentences, and retries are written at
    most every RETRY_LINE_SECONDS.
    """

    def __init__(self, *, as_fields: bool) -> None:
        super().__init__()
        self._as_fields = as_fields
        self._retry_at = -RETRY_LINE_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or none."""
        if text := self._fields(record) if self._as_fields else self._sentence(record):
            click.echo(single_line(text), err=True)

    def _fields(self, record: logging.LogRecord) -> str:
        fields = (f"{name}={value}" for name, value in vars(record).items() if name not in _RECORD_FIELDS)
        return " ".join([record.levelname.lower(), record.name, record.getMessage(), *fields])

    def _sentence(self, record: logging.LogRecord) -> str | None:
        if record.msg != "retrying":
            return f"Warning: {record.getMessage()}" if record.levelno >= logging.WARNING else None
        now, fields = time.monotonic(), vars(record)
        if now - self._retry_at < RETRY_LINE_SECONDS:
            return None
        self._retry_at = now
        failure = fields.get("status") or fields.get("reason")
        return f"the API failed ({failure}); trying again in {fields.get('seconds', 0):.1f} s"
