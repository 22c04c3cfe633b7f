"""Progress of a dispatcher: counters and sentences for its events."""

import logging
import time
from collections import Counter

from scalesync.cli.output import format_duration
from scalesync.cli.progress import PROGRESS_SECONDS, Tracker
from scalesync.cli.queue_format import subject
from scalesync.models.commands import CommandState
from scalesync.queue import events

_FINAL_STATES = (CommandState.DELIVERED, CommandState.DEAD, CommandState.DISCARDED)
_WITHOUT_EFFECT = (CommandState.DEAD, CommandState.DISCARDED)


class DispatchTracker(Tracker):
    """Counts commands that reached a final state, by state."""

    log = logging.getLogger("scalesync.queue")
    minor = (events.StepStarted, events.Idle)
    counter, counted = "commands", events.CommandSettled

    def __init__(self, total: int | None) -> None:
        """Expect `total` commands; None: unknown."""
        self._total = total
        self._settled: Counter[str] = Counter()
        self._in_doubt: set[int] = set()
        self._unreachable_printed_at = -PROGRESS_SECONDS

    def count(self, event: events.DispatchEvent) -> None:
        """Count a settled command; one in doubt is counted apart until it reaches a final state."""
        if not isinstance(event, events.CommandSettled):
            return
        state = event.settlement.state
        if state is CommandState.IN_DOUBT:
            self._in_doubt.add(event.command.id)
        else:
            self._in_doubt.discard(event.command.id)
        # QUEUED is counted nowhere: such a command is claimed again, and settled later.
        if state in _FINAL_STATES:
            self._settled[state] += 1

    def describe(self, event: events.DispatchEvent) -> str | None:
        """Return a line to print, or None; "unreachable" at most every PROGRESS_SECONDS."""
        text = None
        match event:
            case events.CommandSettled(command, settlement) if (
                settlement.state in _WITHOUT_EFFECT or settlement.hold_reason
            ):
                state_text = "held" if settlement.hold_reason else settlement.state
                reason_text = settlement.hold_reason or " ".join(
                    str(part) for part in (settlement.error_code, settlement.error) if part is not None
                )
                text = (
                    f"command {command.id}, {command.kind} {subject(command)}, is {state_text}: {reason_text}"
                )
            case events.Throttled(seconds, reason):
                text = f"{reason.rstrip('.')}; all wait for {format_duration(seconds)}"
            case events.AccessDenied(reason):
                text = f"{reason.rstrip('.')}; nothing more is sent"
            case events.ApiUnreachable(seconds, reason) | events.QueueUnavailable(seconds, reason):
                now = time.monotonic()
                if now - self._unreachable_printed_at >= PROGRESS_SECONDS:
                    self._unreachable_printed_at = now
                    text = f"{reason.rstrip('.')}; trying again in {format_duration(seconds)}"
            case events.Idle(seconds) if seconds is None:
                text = "waiting for work"
        return text

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return the number of commands in a final state, and their total."""
        return {"commands": (self._settled.total(), self._total)}

    def line(self, counter: str) -> str:  # noqa: ARG002 - there is one
        """Return the numbers of commands by state as a sentence."""
        doubt = {"in doubt": len(self._in_doubt)} if self._in_doubt else {}
        return ", ".join(f"{count:,} {state}" for state, count in (dict(self._settled) | doubt).items())

    def fields(self, event: events.DispatchEvent) -> dict[str, object]:
        """Return the log fields of an event, without payload."""
        if not isinstance(event, events.CommandSettled):
            return super().fields(event)
        return {
            "command": event.command.id,
            "kind": event.command.kind,
            "state": event.settlement.state,
            "outcome": event.settlement.outcome,
            "status": event.settlement.error_code,
        }
