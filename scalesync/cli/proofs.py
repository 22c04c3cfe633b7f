"""How past verifications are told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from scalesync.cli.output import counted
from scalesync.model import format_instant

if TYPE_CHECKING:
    from scalesync.db.verifications import Verified
    from scalesync.reports import Status


def proof_sentences(now: "Status") -> Iterator[str]:
    """Yield when the mirror was last proven equal to the API, and what the last verification came to."""
    proven, last = now.proven, now.verified
    if proven is None:
        yield "not proven equal to the API yet: `scalesync verify` does that"
    else:
        yield f"proven equal to the API as of {format_instant(proven.as_of)}, by {_how(proven)}: everything"
    if last is None or last == proven:
        return
    as_of = f"as of {format_instant(last.as_of)}"
    if last.drift:
        yield f"{as_of}, {counted(last.drift, 'object', 'objects')} differed: {_scope(last.scope)}"
    elif last.unproven:
        yield f"{as_of}, not everything could be compared: {last.unproven}"
    else:
        yield f"proven {as_of}, by {_how(last)}: {_scope(last.scope)}"


def _how(verified: "Verified") -> str:
    return "whole documents" if verified.deep else "counts"


def _scope(scope: str) -> str:
    """Return the windows of a proof in words."""
    parts = []
    for window in msgspec.json.decode(scope, type=list[dict[str, str]]):
        stream = window.pop("stream")
        filters = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in window.items())
        parts.append(f"{stream} ({filters})" if filters else stream)
    return "; ".join(parts)
