"""`scalesync verify` and `sync --verify`: compare the mirror with the API."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.context import Context
from scalesync.cli.error_handling import graceful_shutdown
from scalesync.cli.output import pluralize, print_json, print_table, print_text
from scalesync.cli.param_types import INSTANT, NAME, json_option, workers_option
from scalesync.clock import Clock
from scalesync.errors import IncompleteError
from scalesync.sync.planner import EVERY_STREAM
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.mirror import Mirror
    from scalesync.models.sync import Run
    from scalesync.sync.verify.models import Drift, Verification

MAX_SHOWN = 50
"""Differing objects printed; --json prints all."""


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
    /,
    streams: tuple[str, ...],
    project: tuple[str, ...],
    repair: bool,
    strict: bool,
    json: bool,
    **options: Any,
) -> None:
    """Prove the mirror equal to the API, or name what differs.

    Compares counts, narrows down where they differ, and ends with 1 if anything does. What was made or
    changed since the last sync is only behind: it is counted apart.
    """
    clock, quiet = Clock(), context.quiet
    with graceful_shutdown(clock, "the answers on their way"), ExitStack() as shown:
        on_event = shown.enter_context(_progress(quiet=quiet))
        on_repair = shown.enter_context(_progress(quiet=quiet or not repair, of_repair=True))
        options |= {"on_event": on_event, "on_repair": on_repair}
        found = context.mirror(clock).verify(*streams, projects=project, repair=repair, **options)
        # Ends the bars before the result is printed.
        shown.close()
        if json:
            print_json(_as_dict(found))
        elif not quiet:
            _print_with_repair(found)
        raise_if_unproven(found, repaired=repair, strict=strict)


def run_after_sync(mirror: "Mirror", runs: "Sequence[Run]", *, quiet: bool) -> "Verification":
    """Verify the objects that the runs of a sync read, with progress on stderr."""
    with _progress(quiet=quiet) as on_event:
        return mirror.verify_runs(runs, on_event=on_event)


def _progress(*, quiet: bool, of_repair: bool = False) -> AbstractContextManager[Callable[[Any], None]]:
    from scalesync.cli.progress import progress
    from scalesync.cli.sync_progress import SyncTracker, VerifyTracker

    return progress(SyncTracker() if of_repair else VerifyTracker(), quiet=quiet, bars=of_repair)


def _as_dict(found: "Verification") -> dict[str, object]:
    """Return a verification for JSON, with the differences found before a repair."""
    first = found.before_repair
    before = {} if first is None else {"found": first.drift, "found_as_of": first.as_of}
    return verification_as_dict(found) | before


def verification_as_dict(found: "Verification") -> dict[str, object]:
    """Return a verification for JSON."""
    names = ("proven", "as_of", "deep", "drift", "unproven", "by_project", "left_out", "batches_counted")
    fields = {name: getattr(found, name) for name in (*names, "requests")}
    behind = {"behind": len(found.behind), "behind_objects": found.behind}
    return fields | behind | {"seconds": round(found.seconds, 3)}


def print_verification(found: "Verification") -> None:
    """Print the differences and the costs of a verification."""
    if found.drift:
        _print_drift(found.drift)
    elif not found.unproven:
        options = "whole documents" if found.deep else "by counts, and one by one where that is cheap"
        print_text(f"Nothing differs as of {format_instant(found.as_of)} ({options}).")
    if found.by_project:
        print_text("The API lists tasks of a project only: those of none cannot be compared.")
    if found.behind:
        behind = pluralize(len(found.behind), "object is", "objects are")
        print_text(f"{behind} behind: made or changed after the last sync, and read by the next one.")
    if found.left_out:
        left_out = pluralize(found.left_out, "object", "objects")
        print_text(f"{left_out} changed meanwhile: left out.")
    requests = pluralize(found.requests, "request", "requests")
    batch_counts = (
        "" if found.deep else f"; {pluralize(found.batches_counted, 'batch', 'batches')} asked for own counts"
    )
    print_text(f"{requests}, {found.seconds:.1f} s{batch_counts}")


def _print_with_repair(found: "Verification") -> None:
    if found.before_repair is not None:
        print_verification(found.before_repair)
        print_text("\nRead again, and verified once more:")
    print_verification(found)


def _print_drift(drift: "Sequence[Drift]") -> None:
    columns = ("stream", "key", "what", "here", "there", "fields", "project", "created_at")
    rows = (
        (
            item.stream,
            item.key,
            item.kind.replace("_", " "),
            item.here,
            item.there,
            ", ".join(item.fields) or None,
            item.project,
            item.created_at,
        )
        for item in drift[:MAX_SHOWN]
    )
    print_table(columns, rows)
    if len(drift) > MAX_SHOWN:
        print_text(f"... and {len(drift) - MAX_SHOWN:,} more; --json names all.")


def raise_if_unproven(found: "Verification", *, repaired: bool = False, strict: bool = False) -> None:
    """Raise IncompleteError unless the mirror is proven and, with `strict`, not behind."""
    if found.drift:
        differing = pluralize(len(found.drift), "object differs", "objects differ")
        still = " still" if repaired else ""
        advice = "Run `scalesync sync --full`." if repaired else "Run `scalesync verify --repair`."
        also = f" Nor could everything be compared: {' '.join(found.unproven)}" if found.unproven else ""
        raise IncompleteError(f"{differing}{still} between API and mirror.{also}", advice=advice)
    if found.unproven:
        raise IncompleteError(f"Not proven: {' '.join(found.unproven)}", advice=_what_helps(found))
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
