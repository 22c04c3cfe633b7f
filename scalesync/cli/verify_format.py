"""Format stored verifications for `scalesync status`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from scalesync.cli.output import pluralize
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.models.sync import VerificationRecord
    from scalesync.status import Status


def verification_sentences(now: "Status") -> Iterator[str]:
    """Yield sentences on the last complete verification without differences, and on the last one."""
    proven, last = now.proven, now.verified
    if proven is None:
        yield "not proven equal to the API yet: `scalesync verify` does that"
    else:
        as_of = format_instant(proven.as_of)
        yield f"proven equal to the API as of {as_of}, by {_method(proven)}: everything{_behind_note(proven)}"
    if last is None or last == proven:
        return
    as_of = f"as of {format_instant(last.as_of)}"
    if last.drift:
        also = f"; nor could everything be compared: {last.unproven}" if last.unproven else ""
        differed = pluralize(last.drift, "object", "objects")
        yield f"{as_of}, {differed} differed: {_scope_text(last.scope)}{also}"
    elif last.unproven:
        yield f"{as_of}, not everything could be compared: {last.unproven}"
    else:
        yield f"proven {as_of}, by {_method(last)}: {_scope_text(last.scope)}{_behind_note(last)}"


def _method(verified: "VerificationRecord") -> str:
    return "whole documents" if verified.deep else "counts"


def _behind_note(verified: "VerificationRecord") -> str:
    behind = pluralize(verified.behind, "object that was", "objects that were")
    return f" but {behind} behind, having changed since the last sync" if verified.behind else ""


def _scope_text(scope: str) -> str:
    """Return the windows of a verification in words."""
    # A window of changes is left out if its stream was compared as a whole.
    windows = msgspec.json.decode(scope, type=list[dict[str, str]])
    whole = {(each["stream"], each.get("project")) for each in windows if "updated_from" not in each}
    parts = []
    for window in windows:
        if "updated_from" in window and (window["stream"], window.get("project")) in whole:
            continue
        stream = window.pop("stream")
        filters = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in window.items())
        parts.append(f"{stream} ({filters})" if filters else stream)
    return "; ".join(parts)
