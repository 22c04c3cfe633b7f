"""`scalesync verify`, which `sync --verify` does too: whether the mirror equals the API, and where not."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import pluralize, print_json, print_table, print_text, single_line
from scalesync.cli.param_types import INSTANT, NAME, json_option, workers_option
from scalesync.clock import Clock
from scalesync.errors import IncompleteError
from scalesync.sync.planner import EVERY_STREAM, SyncRequest, in_stream_order
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.sync.verify.models import (
        Drift,
        DriftFound,
        PartVerified,
        Verification,
        VerifyStarted,
        VerifyWatcher,
    )
    from scalesync.sync.verify.runner import VerifyResult

log = logging.getLogger("scalesync.verify")

SHOWN = 50
"""Objects that differ which are shown; --json names all of them."""

HAND = "the answers on their way"


@click.command()
@click.argument("streams", nargs=-1, type=click.Choice(EVERY_STREAM))
@click.option("--repair", is_flag=True, help="Read what differs again, and verify once more.")
@click.option("--strict", is_flag=True, help="End with 1 also for what only changed since the last sync.")
@click.option("--deep", is_flag=True, help="Compare whole documents: reads the whole account.")
@click.option("--since", type=INSTANT, help="Only what was created at this time or later.")
@click.option("--until", type=INSTANT, help="Only what was created before this time.")
@click.option("--project", type=NAME, multiple=True, help="Only this project; may be given several times.")
@workers_option("Requests at once, 1 to 64.")
@json_option
@click.pass_obj
def verify(
    context: Context,
    streams: tuple[str, ...],
    repair: bool,
    strict: bool,
    deep: bool,
    since: datetime | None,
    until: datetime | None,
    project: tuple[str, ...],
    workers: int,
    json: bool,
) -> None:
    """Prove the mirror equal to the API, or name what differs.

    Compares counts, narrows down where they differ, and ends with 1 if anything does. What was made or
    changed since the last sync is only behind: it is counted apart.
    """
    from scalesync.cli.progress import watching
    from scalesync.sync.verify.runner import VerifyWatchers

    request = SyncRequest(in_stream_order(streams), since=since, until=until, projects=project)
    clock = Clock()
    with graceful_shutdown(clock, HAND):
        app = context.app(clock)
        with watching(quiet=context.quiet or not repair) as reading:
            watchers = VerifyWatchers(telling(quiet=context.quiet), reading)
            proof = app.verify(request, watchers, deep=deep, repair=repair, workers=workers)
        if json:
            print_json(as_dict(proof))
        elif not context.quiet:
            _tell_proof(proof)
        raise_if_unproven(proof.last, repaired=repair, strict=strict)


def telling(*, quiet: bool) -> "VerifyWatcher":
    """Return what says on stderr what a verification will cost and how far it is, and logs what it finds."""
    from scalesync.cli.progress import EVERY
    from scalesync.sync.verify.models import DriftFound, VerifyStarted

    told_at = time.monotonic()

    def watch(event: "VerifyStarted | PartVerified | DriftFound") -> None:
        nonlocal told_at
        if isinstance(event, DriftFound):
            log.info("found", extra=asdict(event.drift))
        elif isinstance(event, VerifyStarted):
            _say(f"verifying takes about {event.requests:,} requests if nothing differs", quiet=quiet)
        elif time.monotonic() - told_at >= EVERY:
            told_at = time.monotonic()
            _say(f"{event.what}: {event.done:,} of {event.expected:,}", quiet=quiet)

    return watch


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        click.echo(single_line(text), err=True)


def as_dict(proof: "VerifyResult") -> dict[str, object]:
    """Return a proof for machines: its last verification, and what was found before a repair."""
    if proof.first is proof.last:
        return verification_as_dict(proof.last)
    return verification_as_dict(proof.last) | {"found": proof.first.drift, "found_as_of": proof.first.as_of}


def verification_as_dict(found: "Verification") -> dict[str, object]:
    """Return a verification for machines."""
    return {
        "proven": found.proven,
        "as_of": found.as_of,
        "deep": found.deep,
        "drift": found.drift,
        "unproven": found.unproven,
        "by_project": found.by_project,
        "behind": len(found.behind),
        "behind_objects": found.behind,
        "left_out": found.left_out,
        "batches_counted": found.batches_counted,
        "requests": found.requests,
        "seconds": round(found.seconds, 3),
    }


def tell(found: "Verification") -> None:
    """Print what came of a verification."""
    if found.drift:
        _print_drift(found.drift)
    elif not found.unproven:
        how = "whole documents" if found.deep else "by counts, and one by one where that is cheap"
        print_text(f"Nothing differs as of {format_instant(found.as_of)} ({how}).")
    if found.by_project:
        print_text("The API lists tasks of a project only: those of none cannot be compared.")
    if found.behind:
        behind = pluralize(len(found.behind), "object is", "objects are")
        print_text(f"{behind} behind: made or changed after the last sync, and read by the next one.")
    if found.left_out:
        left_out = pluralize(found.left_out, "object", "objects")
        print_text(f"{left_out} changed meanwhile: left out.")
    requests = pluralize(found.requests, "request", "requests")
    own = (
        "" if found.deep else f"; {pluralize(found.batches_counted, 'batch', 'batches')} asked for own counts"
    )
    print_text(f"{requests}, {found.seconds:.1f} s{own}")


def _tell_proof(proof: "VerifyResult") -> None:
    tell(proof.first)
    if proof.last is not proof.first:
        print_text("\nRead again, and verified once more:")
        tell(proof.last)


def _print_drift(drift: "Sequence[Drift]") -> None:
    columns = ("stream", "key", "what", "here", "there", "fields", "project", "created_at")
    rows = (
        (
            one.stream,
            one.key,
            one.kind.replace("_", " "),
            one.here,
            one.there,
            ", ".join(one.fields) or None,
            one.project,
            one.created_at,
        )
        for one in drift[:SHOWN]
    )
    print_table(columns, rows)
    if len(drift) > SHOWN:
        print_text(f"... and {len(drift) - SHOWN:,} more; --json names all.")


def raise_if_unproven(found: "Verification", *, repaired: bool = False, strict: bool = False) -> None:
    """Raise IncompleteError unless the mirror is proven and, with `strict`, not behind."""
    if found.drift:
        differing = pluralize(len(found.drift), "object differs", "objects differ")
        still = " still" if repaired else ""
        advice = "Run `scalesync sync --full`." if repaired else "Run `scalesync verify --repair`."
        also = f" Nor could everything be compared: {' '.join(found.unproven)}" if found.unproven else ""
        raise IncompleteError(f"{differing}{still} between API and mirror.{also}", advice=advice)
    if found.unproven:
        msg = f"Not proven: {' '.join(found.unproven)}"
        raise IncompleteError(msg, advice=_what_helps(found))
    if strict and found.behind:
        behind = pluralize(len(found.behind), "object is", "objects are")
        raise IncompleteError(f"{behind} behind.", advice="Run `scalesync sync`.")


def _what_helps(found: "Verification") -> str:
    if found.undivided:
        return "Run `scalesync verify --repair`: it reads all tasks in one list."
    if found.undated:
        return "Run `scalesync sync`, and verify again."
    return "Nothing is known to differ. Run it again later, or with --deep."


COMMANDS = (verify,)
