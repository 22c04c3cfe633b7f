"""How current and how complete a mirror is, in sentences and rows for its pages and its report."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from scalesync.status import STREAMS, number_of
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.models.queue_state import PauseState, QueueStats
    from scalesync.models.selection import ObjectCounts
    from scalesync.models.sync import VerificationRecord
    from scalesync.status import Status

PROOF_AGE = timedelta(days=7)
"""Age from which on a proof is called old."""


def freshness(status: "Status", counts: "Mapping[str, ObjectCounts]") -> dict[str, Any]:
    """Return what pages and the report show of a status and its counts, as plain values.

    Numbers that are not in `counts` are None.
    """
    return {
        "database": status.database,
        "at": format_instant(status.now),
        "warnings": list(warnings(status)),
        "streams": [_stream(status, stream, counts.get(stream)) for stream in STREAMS],
        "proof": proof_sentence(status),
        "queue": queue_rows(status.queue),
        "queue_sentences": list(queue_sentences(status.queue, status.gate)),
    }


def _stream(status: "Status", stream: str, counts: "ObjectCounts | None") -> dict[str, Any]:
    return {
        "stream": stream,
        "rows": counts and counts.here,
        "missing_at_the_api": counts and counts.missing,
        "complete_up_to": _instant(status.watermarks.get(stream)),
        "behind": span(status.behind(stream)),
    }


def warnings(status: "Status") -> Iterator[str]:
    """Yield a sentence for each thing that keeps the mirror from being known complete and right."""
    yield from status.sync_gaps()
    for stream in status.ahead():
        yield f"{stream}: complete up to an instant that is still to come by this machine's clock."
    yield from status.file_gaps()
    yield from status.response_gaps()
    yield from _proof_warnings(status)


def _proof_warnings(status: "Status") -> Iterator[str]:
    proven = status.proven
    if proven is None:
        yield "Not proven equal to the API yet: `scalesync verify` does that."
    elif status.now - proven.as_of > PROOF_AGE:
        yield f"The last proof is old: {span((status.now - proven.as_of).total_seconds())}."


def proof_sentence(status: "Status") -> str:
    """Return when the mirror was last found equal to the API as a whole, and how that was compared."""
    proven = status.proven
    if proven is None:
        return "Not proven equal to the API yet."
    proof = f"Proven equal to the API as of {format_instant(proven.as_of)}, by {_method(proven)}"
    if not proven.behind:
        return f"{proof}."
    return f"{proof}, but {number_of(proven.behind, 'object')} changed since the last sync."


def _method(verified: "VerificationRecord") -> str:
    return "whole documents" if verified.deep else "counts"


def queue_rows(stats: "QueueStats") -> list[dict[str, object]]:
    """Return the states of commands and their numbers, those that need a person marked."""
    rows = [(state.replace("_", " "), number, False) for state, number in stats.by_state.items()]
    rows += [("held", stats.held, True), ("dead", stats.dead, True)]
    in_doubt = "in doubt"
    return [
        {"state": state, "commands": number, "needs_a_person": needs or state == in_doubt}
        for state, number, needs in rows
        if number
    ]


def queue_sentences(stats: "QueueStats", pause: "PauseState") -> Iterator[str]:
    """Yield sentences on the queue: what is open, what needs a person, and a pause."""
    if stats.open:
        yield f"{number_of(stats.open, 'command')} open, the oldest {span(stats.oldest_seconds)} old."
    people = stats.dead + stats.unheld_in_doubt + stats.held
    if people:
        needs = "needs" if people == 1 else "need"
        yield f"{number_of(people, 'command')} {needs} a person: see `scalesync queue list`."
    if pause.paused:
        until = "until `scalesync queue resume`" if pause.seconds is None else f"for {span(pause.seconds)}"
        yield f"Nothing is sent {until}: {pause.reason}"
    if not stats.open and not stats.dead:
        yield "Nothing waits to be sent."


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def span(seconds: float | None) -> str:
    """Return a length of time in days, hours, minutes or seconds; None: `never`."""
    if seconds is None:
        return "never"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
