"""What the events of a sync and of a verification say on stderr, and how far each is."""

import logging
from collections.abc import Iterable
from dataclasses import asdict

from scalesync.cli.progress import Tracker
from scalesync.sync import events
from scalesync.sync.planner import EVERY_STREAM
from scalesync.sync.verify.models import DriftFound, PartVerified, VerifyEvent, VerifyStarted
from scalesync.timestamps import format_instant


class SyncTracker(Tracker):
    """Counts rows received and expected, by stream."""

    log = logging.getLogger("scalesync.sync")
    minor = (events.OthersReading,)

    def __init__(self) -> None:
        """Start at zero."""
        self._received: dict[str, int] = {}
        self._expected: dict[str, int] = {}

    def count(self, event: events.SyncEvent) -> None:
        """Add rows received or expected."""
        if isinstance(event, events.RunStarted):
            # A resumed run continues with the numbers of its earlier processes.
            counts = {stream: (received, expected) for stream, received, expected in event.progress}
            for stream in (name for name in EVERY_STREAM if name in counts):
                self._received[stream], self._expected[stream] = counts[stream]
        elif isinstance(event, events.RowsExpected):
            self._expected[event.stream] = self._expected.get(event.stream, 0) + event.rows
        elif isinstance(event, events.PagesSaved):
            self._received[event.stream] = self._received.get(event.stream, 0) + event.rows

    def counter_of(self, event: events.SyncEvent) -> str | None:
        """Return the stream whose pages were saved."""
        return event.stream if isinstance(event, events.PagesSaved) else None

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return (received, expected) by stream; received is at most expected."""
        # Windows overlap at their bounds, so some rows are received twice.
        counts = {stream: (rows, self._expected.get(stream, 0)) for stream, rows in self._received.items()}
        return {
            stream: (min(rows, total) if total else rows, total) for stream, (rows, total) in counts.items()
        }

    def line(self, counter: str) -> str:
        """Return the received and expected rows of a stream as a sentence."""
        received, expected = self.counters()[counter]
        share = f" ({received / expected:.0%})" if expected else ""
        return f"{counter}: {received:,} of {expected or received:,} rows{share}"

    def last_lines(self) -> Iterable[str]:
        """Return the streams that were read."""
        return self._received

    def describe(self, event: events.SyncEvent) -> str | None:
        """Return a sentence about an event, None if it is not for people."""
        text = None
        match event:
            case events.RunStarted(kind, started_at, resumed, _):
                begins = "goes on with the run left open" if resumed else f"begins a run ({kind})"
                text = f"scalesync {begins}, as of {format_instant(started_at)}"
            case events.WindowInconsistent(stream, reason, given_up):
                then = "given up" if given_up else "reading that part again"
                text = f"{stream}: {reason}; {then}"
            case events.ObjectsMissing(stream, keys):
                named = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
                text = f"{stream}: {len(keys)} gone at the API: {named}"
            case events.ProjectRequired(projects):
                text = "the API lists tasks by project only: "
                text += f"tasks outside its {projects} projects cannot be seen"
            case events.ClockWasAhead(stream, at, since):
                begin = "everything" if since is None else f"from {format_instant(since)} on"
                text = f"{stream}: complete up to {format_instant(at)} by a clock of the API that was ahead; "
                text += f"reading {begin}"
            case events.DatabaseUnavailable(seconds, reason):
                text = f"{reason.rstrip('.')}; trying again in {seconds:g} s"
            case events.OthersReading():
                text = "waiting for another process that holds the rest; if it has died, that comes free soon"
        return text


class VerifyTracker(Tracker):
    """Counts verified parts."""

    log = logging.getLogger("scalesync.verify")
    minor = (VerifyStarted, PartVerified)
    counter, counted = "parts", PartVerified

    def __init__(self) -> None:
        """Start without a part."""
        self._part: PartVerified | None = None

    def count(self, event: VerifyEvent) -> None:
        """Remember the progress of the present part."""
        if isinstance(event, PartVerified):
            self._part = event

    def describe(self, event: VerifyEvent) -> str | None:
        """Return the expected number of requests at the start, else None."""
        if isinstance(event, VerifyStarted):
            return f"verifying takes about {event.requests:,} requests if nothing differs"
        return None

    def line(self, counter: str) -> str:
        """Return the progress of the present part as a sentence."""
        part = self._part
        return counter if part is None else f"{part.what}: {part.done:,} of {part.expected:,}"

    def fields(self, event: VerifyEvent) -> dict[str, object]:
        """Return the log fields of an event."""
        return asdict(event.drift) if isinstance(event, DriftFound) else super().fields(event)
