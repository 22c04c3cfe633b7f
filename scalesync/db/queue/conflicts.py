"""Sentences for a command that cannot be queued: its name is taken with other content, or it is too late."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal

from scalesync import advice
from scalesync.annotations.urls import without_signatures
from scalesync.db.queue.mirror_lookup import MirroredObject
from scalesync.errors import BatchSealedError, ConflictError, QueueError
from scalesync.models.attachments import without_references
from scalesync.models.commands import GENERATED, Command, CommandKind, Creation, NewCommand
from scalesync.parsing.json_equality import same_value
from scalesync.payload_comparison import Difference, differences

_MANY = 3
_LONGEST = 80
_NOTHING = object()


def clash(new: NewCommand, existing: Command) -> ConflictError:
    """Return the error for a command whose idempotency key another command has, with other content."""
    name = new.resource.partition(":")[2]
    there = f"command {existing.id}, which is {existing.state.replace('_', ' ')}"
    if new.kind == CommandKind.CREATE_TASK and name.startswith(GENERATED):
        return ConflictError(
            f"The same content is already queued as {there}, for another batch; {advice.ALLOW_DUPLICATES}."
        )
    # As Decimal: read as floats, two long numbers that differ would look equal in the sentence.
    there_and_here = (json.loads(text, parse_float=Decimal) for text in (existing.payload, new.payload))
    found = list(_differences(*there_and_here))
    fields = _some([f"{path} ({_shown(one)} there, {_shown(other)} here)" for path, one, other in found])
    return ConflictError(f"There is another {existing.kind} of {name!r}, {there}: it differs in {fields}.")


def is_same(new: NewCommand, payload: str) -> bool:
    """Return whether a command has the content of the queued one with its key; where a file lies is none."""
    if new.kind != CommandKind.UPLOAD_FILE:
        return same_value(payload, new.payload)
    one, other = ({**json.loads(text), "path": None} for text in (payload, new.payload))
    return bool(one == other)


def unlike(new: NewCommand, found: MirroredObject) -> list[Difference]:
    """Return where a mirrored object with the name of a create differs from it: (path, ours, theirs)."""
    creation = new.creates
    if creation is None or not creation.match_on:
        return []
    # A unique_id made from the content says that the content is the same; only the batch is not part of it.
    if creation.name.startswith(GENERATED):
        batch, theirs = dict(creation.match_on).get("batch"), found.document.get("batch")
        return [] if batch in (None, theirs) else [("batch", batch, theirs)]
    return differences(new.kind, json.loads(without_references(new.payload)), found.document)


def mirrored_clash(
    creation: Creation, found: MirroredObject, differing: Sequence[Difference]
) -> ConflictError:
    """Return the error for a create whose name a different mirrored object has."""
    if creation.name.startswith(GENERATED):
        return ConflictError(
            f"The same content is mirrored as {found.key}, in another batch; {advice.ALLOW_DUPLICATES}."
        )
    said = [f"its {where} is {_shown(theirs)}, not {_shown(ours)}" for where, ours, theirs in differing]
    key = "" if found.key == creation.name else f" {found.key}"
    where = f"The mirrored object{key} in {creation.stream} has the name {creation.name!r}"
    return ConflictError(f"{where}, and is another one: {_some(said, '; ')}.")


def unknown_file(resource: str) -> QueueError:
    """Return the error for a command that refers to a file which is not in the queue."""
    name = resource.partition(":")[2]
    return QueueError(
        f"It refers to the file {name!r}, and no file of this reference_id is queued here.",
        advice="Queue the file first, or give its address.",
    )


def sealed(new: NewCommand, sealed_by: int) -> BatchSealedError:
    """Return the error for a command that comes after the finalize of its batch."""
    batch = str(new.scope).partition(":")[2]
    return BatchSealedError(
        f"Batch {batch!r} takes nothing more: command {sealed_by} finalizes it.",
        advice=advice.unseal(sealed_by),
    )


def _some(parts: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(parts) - _MANY} more" if len(parts) > _MANY else ""
    return between.join(parts[:_MANY]) + more


def _shown(value: object) -> str:
    """Return a value as short text for people, without signatures of URLs, which are secrets."""
    if value is None or value is _NOTHING:
        return "nothing"
    text = without_signatures(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _differences(one: object, other: object) -> Iterator[Difference]:
    """Yield where two JSON values differ, at any depth; 1 equals 1.0, but not true."""
    # A stack instead of recursion: people's metadata may be nested deeper than Python recurses.
    rest = [("", one, other)]
    while rest:
        path, left, right = rest.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            names = sorted(left.keys() | right.keys(), reverse=True)
            dot = "." if path else ""
            rest += [(f"{path}{dot}{n}", left.get(n, _NOTHING), right.get(n, _NOTHING)) for n in names]
        elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
            pairs = list(enumerate(zip(left, right, strict=True)))
            rest += [(f"{path}[{n}]", *pair) for n, pair in reversed(pairs)]
        elif left != right or isinstance(left, bool) is not isinstance(right, bool):
            yield path, left, right
