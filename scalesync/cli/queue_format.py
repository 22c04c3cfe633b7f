"""How commands of the queue are shown."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from scalesync.cli.output import format_duration, pluralize, print_line, print_table, print_text
from scalesync.errors import AttentionRequiredError
from scalesync.models.commands import (
    Command,
    CommandView,
    DiscardAnswer,
    DiscardResult,
    PauseState,
    QueueStats,
)
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.queue.management import CommandDetail

COLUMNS = ("id", "kind", "name", "state", "sends", "reason")

_FIELDS = (
    "outcome", "scope", "depends_on", "priority", "sends", "failures", "created_at", "sent_at", "not_before",
    "leased_until", "owner", "finished_at", "result",
)  # fmt: skip
_STEP = ("at", "fence", "step", "http_status", "outcome", "detail")
_STEP_COLUMNS = ("at", "claim", "step", "http_status", "outcome", "detail")
_ADVICE = "`scalesync queue why ID` leads to the cause; `queue reconcile`, `retry` and `discard` settle it."


def row(shown: CommandView) -> tuple[object, ...]:
    """Return a command as a row under COLUMNS."""
    command = shown.command
    return command.id, command.kind, subject(command), shown.display, command.sends, why(shown)


def subject(command: Command) -> str:
    """Return what a command is about: a unique_id, a task's id, or a name."""
    return command.resource.partition(":")[2] or command.resource


def why(shown: CommandView) -> str | None:
    """Return why a command is where it is, in a sentence, or None where that needs no words."""
    return shown.reason or shown.command.error


def as_dict(shown: CommandView) -> dict[str, object]:
    """Return a command for machines, without its payload."""
    command = shown.command
    fields = {name: getattr(command, name) for name in command.__dataclass_fields__ if name != "payload"}
    fields["result"] = None if command.result is None else json.loads(command.result)
    return fields | {"display": shown.display, "waits_for": shown.waits_for, "reason": shown.reason}


def story_as_dict(story: "CommandDetail") -> dict[str, object]:
    """Return everything about a command for machines."""
    return as_dict(story.shown) | {
        "payload": json.loads(story.shown.command.payload),
        "attempts": story.attempts,
        "why": [shown.command.id for shown in story.why],
    }


def print_story(story: "CommandDetail") -> None:
    """Print everything about a command for people."""
    shown, command = story.shown, story.shown.command
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
    if story.attempts:
        print_text()
        print_table(_STEP_COLUMNS, ([getattr(attempt, name) for name in _STEP] for attempt in story.attempts))
    if len(story.why) > 1:
        print_text()
        print_why(story.why)


def print_why(chain: Iterable[CommandView]) -> None:
    """Print a command, what it waits for, what that waits for, and so on, a line each."""
    for number, shown in enumerate(chain):
        command = shown.command
        told = (
            f"command {command.id}, {command.kind} {subject(command)}, is {shown.display.replace('_', ' ')}"
        )
        reason = why(shown) if shown.waits_for is None else None
        print_line(f"{'which waits for ' if number else ''}{told}{f': {reason}' if reason else ''}")


def answer(discarded: DiscardResult) -> str:
    """Return one of the three answers to a discard, as a sentence."""
    name = f"command {discarded.command_id}"
    if discarded.answer is DiscardAnswer.DISCARDED:
        also = ", ".join(map(str, discarded.also))
        return f"{name} is discarded" + (f", and with it what depended on it: {also}" if also else "")
    if discarded.answer is DiscardAnswer.REQUESTED:
        return f"{name} is being sent or in doubt: it will be dropped if it proves not applied"
    undo = f": `{discarded.instead}` undoes it" if discarded.instead else ", and nothing undoes it"
    return f"{name} is done, too late{undo}"


def depth_sentences(stats: QueueStats, gate: PauseState) -> Iterator[str]:
    """Yield how many commands are open, if any, and what keeps them all from being sent."""
    if stats.open:
        oldest = (
            f", the oldest {format_duration(stats.oldest_seconds)} old"
            if stats.oldest_seconds is not None
            else ""
        )
        states = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in stats.by_state.items())
        yield f"{pluralize(stats.open, 'command is', 'commands are')} open{oldest} ({states})"
    if gate.paused:
        yield paused(gate)


def needs(stats: QueueStats) -> Iterator[str]:
    """Yield how many commands need a person, if any do."""
    if stats.needs_a_person:
        yield f"{_needy(stats.dead, stats.in_doubt, stats.held)}: see `scalesync queue list`"


def paused(gate: PauseState) -> str:
    """Return that nothing is sent, why, and until when."""
    until = (
        "until `scalesync queue resume`" if gate.seconds is None else f"for {format_duration(gate.seconds)}"
    )
    return f"nothing is sent {until} ({gate.reason})"


def raise_if_person_needed(*, dead: int, in_doubt: int, held: int) -> None:
    """Raise AttentionRequiredError (exit code 7) if any command is dead, in doubt or held."""
    if dead or in_doubt or held:
        raise AttentionRequiredError(f"{_needy(dead, in_doubt, held)}.", advice=_ADVICE)


def _needy(dead: int, in_doubt: int, held: int) -> str:
    counts = ((dead, "dead"), (in_doubt, "in doubt"), (held, "held"))
    parts = [f"{count:,} {what}" for count, what in counts if count]
    return (
        f"{pluralize(dead + in_doubt + held, 'command needs', 'commands need')} a person: {', '.join(parts)}"
    )
