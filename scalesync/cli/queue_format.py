"""Format commands of the queue for people and as JSON."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from scalesync.cli.output import format_duration, pluralize, print_line, print_table, print_text
from scalesync.errors import AttentionRequiredError
from scalesync.models.commands import Command
from scalesync.models.queue_state import CommandView, DiscardAnswer, DiscardResult, PauseState, QueueStats
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.queue.management import CommandDetail

COLUMNS = ("id", "kind", "name", "state", "sends", "reason")

_FIELDS = (
    "outcome", "scope", "depends_on", "needs", "priority", "sends", "failures", "created_at", "sent_at",
    "not_before", "leased_until", "owner", "finished_at", "result",
)  # fmt: skip
_STEP = ("at", "fence", "step", "http_status", "outcome", "detail")
_STEP_COLUMNS = ("at", "claim", "step", "http_status", "outcome", "detail")
_ADVICE = "`scalesync queue why ID` leads to the cause; `queue reconcile`, `retry` and `discard` settle it."


def row(shown: CommandView) -> tuple[object, ...]:
    """Return a command as a row under COLUMNS."""
    command = shown.command
    return command.id, command.kind, subject(command), shown.display, command.sends, why(shown)


def subject(command: Command) -> str:
    """Return the object of a command: a unique_id, a task id or a name."""
    return command.resource.partition(":")[2] or command.resource


def why(shown: CommandView) -> str | None:
    """Return a sentence on why a command waits or failed, None if there is nothing to say."""
    return shown.reason or shown.command.error


def as_dict(shown: CommandView) -> dict[str, object]:
    """Return a command for JSON, without its payload."""
    command = shown.command
    fields = {name: getattr(command, name) for name in command.__dataclass_fields__ if name != "payload"}
    fields["result"] = None if command.result is None else json.loads(command.result)
    fields["needs"] = list(command.needed_files) or None
    return fields | {"display": shown.display, "waits_for": shown.waits_for, "reason": shown.reason}


def detail_as_dict(found: "CommandDetail") -> dict[str, object]:
    """Return a command with payload and attempts for JSON."""
    return as_dict(found.shown) | {
        "payload": json.loads(found.shown.command.payload),
        "attempts": found.attempts,
        "why": [shown.command.id for shown in found.why],
    }


def print_detail(found: "CommandDetail") -> None:
    """Print a command with payload, attempts and what it waits for."""
    shown, command = found.shown, found.shown.command
    print_line(f"Command {command.id}: {command.kind} {subject(command)}, {shown.display}")
    if reason := why(shown):
        print_line(reason)
    print_text()
    for name in _FIELDS:
        value = getattr(command, name)
        if value is not None:
            print_line(f"{name:<13}{format_instant(value) if isinstance(value, datetime) else value}")
    print_text()
    print_text(msgspec.json.format(command.payload, indent=2))
    if found.attempts:
        print_text()
        print_table(_STEP_COLUMNS, ([getattr(attempt, name) for name in _STEP] for attempt in found.attempts))
    if len(found.why) > 1:
        print_text()
        print_why(found.why)


def print_why(chain: Iterable[CommandView]) -> None:
    """Print a chain of commands, each of which waits for the next, one a line."""
    for number, shown in enumerate(chain):
        command = shown.command
        text = (
            f"command {command.id}, {command.kind} {subject(command)}, is {shown.display.replace('_', ' ')}"
        )
        # Only the last of the chain has a reason of its own; the others wait for the next line.
        reason = why(shown) if shown.waits_for is None else None
        print_line(f"{'which waits for ' if number else ''}{text}{f': {reason}' if reason else ''}")


def discard_sentence(discarded: DiscardResult) -> str:
    """Return the result of a discard as a sentence."""
    name = f"command {discarded.command_id}"
    if discarded.answer is DiscardAnswer.DISCARDED:
        also = ", ".join(map(str, discarded.also))
        return f"{name} is discarded" + (f", and with it what depended on it: {also}" if also else "")
    if discarded.answer is DiscardAnswer.REQUESTED:
        return f"{name} is being sent or in doubt: it will be dropped if it proves not applied"
    undo = f": `{discarded.instead}` undoes it" if discarded.instead else ", and nothing undoes it"
    return f"{name} is done, too late{undo}"


def queue_sentences(stats: QueueStats, pause: PauseState) -> Iterator[str]:
    """Yield sentences on the open commands and on a pause, if there are any."""
    if stats.open:
        oldest = (
            f", the oldest {format_duration(stats.oldest_seconds)} old"
            if stats.oldest_seconds is not None
            else ""
        )
        states = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in stats.by_state.items())
        yield f"{pluralize(stats.open, 'command is', 'commands are')} open{oldest} ({states})"
    if pause.paused:
        yield pause_sentence(pause)


def attention_sentences(stats: QueueStats) -> Iterator[str]:
    """Yield a sentence on the commands that need a person, if there are any."""
    if stats.needs_a_person:
        text = _attention_text(stats.dead, stats.unheld_in_doubt, stats.held)
        yield f"{text}: see `scalesync queue list`"


def pause_sentence(pause: PauseState) -> str:
    """Return a sentence on a pause: its end and its reason."""
    until = (
        "until `scalesync queue resume`" if pause.seconds is None else f"for {format_duration(pause.seconds)}"
    )
    return f"nothing is sent {until} ({pause.reason})"


def raise_if_person_needed(*, dead: int, in_doubt: int, held: int) -> None:
    """Raise AttentionRequiredError (exit code 7) if any command is dead, in doubt or held."""
    if dead or in_doubt or held:
        raise AttentionRequiredError(f"{_attention_text(dead, in_doubt, held)}.", advice=_ADVICE)


def _attention_text(dead: int, in_doubt: int, held: int) -> str:
    counts = ((dead, "dead"), (in_doubt, "in doubt"), (held, "held"))
    parts = [f"{count:,} {what}" for count, what in counts if count]
    return (
        f"{pluralize(dead + in_doubt + held, 'command needs', 'commands need')} a person: {', '.join(parts)}"
    )
