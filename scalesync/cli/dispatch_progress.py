"""What a dispatcher's events say on stderr, and how many commands are settled."""

import logging
import time
from collections import Counter

from scalesync.cli.output import format_duration
from scalesync.cli.progress import EVERY, Tracker
from scalesync.cli.queue_format import subject
from scalesync.models.commands import CommandState
from scalesync.queue.events import (
    AccessDenied,
    ApiUnreachable,
    CommandSettled,
    DispatchEvent,
    Idle,
    QueueUnavailable,
    StepStarted,
    Throttled,
)

_ENDED = (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
_WITHOUT_EFFECT = (CommandState.DEAD, CommandState.DISCARDED)


class DispatchTracker(Tracker):
    """How many commands were settled for good, by state."""

    log = logging.getLogger("scalesync.queue")
    minor = (StepStarted, Idle)

    def __init__(self, total: int | None) -> None:
        """Count up to `total` commands; None: nobody knows how many there will be."""
        self._total = total
        self._ended: Counter[str] = Counter()
        self._in_doubt: set[int] = set()
        self._offline_at = -EVERY

    def count(self, event: DispatchEvent) -> None:
        """Count a command that was settled. One in doubt is counted apart until it is settled for good."""
        if not isinstance(event, CommandSettled):
            return
        state = event.settlement.state
        if state is CommandState.IN_DOUBT:
            self._in_doubt.add(event.command.id)
        else:
            self._in_doubt.discard(event.command.id)
        if state in _ENDED:
            self._ended[state] += 1

    def describe(self, event: DispatchEvent) -> str | None:
        """Return what a person should hear of; that something is unreachable, every EVERY seconds at most."""
        text = None
        match event:
            case CommandSettled(command, end) if end.state in _WITHOUT_EFFECT or end.hold_reason:
                what = "held" if end.hold_reason else end.state
                why = end.hold_reason or " ".join(
                    str(part) for part in (end.error_code, end.error) if part is not None
                )
                text = f"command {command.id}, {command.kind} {subject(command)}, is {what}: {why}"
            case Throttled(seconds, reason):
                text = f"{reason.rstrip('.')}; all wait for {format_duration(seconds)}"
            case AccessDenied(reason):
                text = f"{reason.rstrip('.')}; nothing more is sent"
            case ApiUnreachable(seconds, reason) | QueueUnavailable(seconds, reason):
                now = time.monotonic()
                if now - self._offline_at >= EVERY:
                    self._offline_at = now
                    text = f"{reason.rstrip('.')}; trying again in {format_duration(seconds)}"
            case Idle(seconds) if seconds is None:
                text = "waiting for work"
        return text

    def counter_of(self, event: DispatchEvent) -> str | None:
        """Return the one counter."""
        return "commands" if isinstance(event, CommandSettled) else None

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return how many commands are settled for good."""
        return {"commands": (self._ended.total(), self._total)}

    def line(self, counter: str) -> str:  # noqa: ARG002 - there is one
        """Return how many commands are where."""
        doubt = {"in doubt": len(self._in_doubt)} if self._in_doubt else {}
        return ", ".join(f"{count:,} {state}" for state, count in (dict(self._ended) | doubt).items())

    def fields(self, event: DispatchEvent) -> dict[str, object]:
        """Return what is logged of an event: no payload."""
        if not isinstance(event, CommandSettled):
            return super().fields(event)
        return {
            "command": event.command.id,
            "kind": event.command.kind,
            "state": event.settlement.state,
            "outcome": event.settlement.outcome,
            "status": event.settlement.error_code,
        }
