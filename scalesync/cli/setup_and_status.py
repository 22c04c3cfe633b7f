"""`scalesync init`, `check`, `status`, `backup` and `docs`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

import scalesync
from scalesync.cli import output
from scalesync.cli.context import Context
from scalesync.cli.param_types import json_option
from scalesync.cli.prune_and_sizes import print_sizes
from scalesync.cli.queue_format import attention_sentences, queue_sentences
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.account_adoption import Initialized
    from scalesync.models.selection import ObjectCounts
    from scalesync.models.sync import VerificationRecord
    from scalesync.status import Status

INTERACTIVE_PATIENCE = timedelta(seconds=5)
"""Default patience of commands whose answer a person waits for."""


@click.command()
@click.option("--adopt", is_flag=True, help="Hand the mirror over to the present key, after a key rotation.")
@click.pass_obj
def init(context: Context, adopt: bool) -> None:
    """Create or upgrade the schema; safe to run twice.

    --adopt asks the API first whether it takes the key: ends with 3, and changes nothing, if it does not.
    """
    result = (_with_short_patience(context) if adopt else context).mirror().init(adopt=adopt)
    if context.quiet:
        return
    before, after = result.before, result.after
    change = (
        "is up to date" if before == after else "created" if before is None else f"upgraded from {before}"
    )
    click.echo(f"Schema {after} {change}.", err=True)
    if adopt:
        click.echo(output.single_line(_owner_sentence(result)), err=True)


@click.command()
@json_option
@click.pass_context
def check(ctx: click.Context, json: bool) -> None:
    """Look at database, key and API; say what to do."""
    findings = _with_short_patience(ctx.obj).mirror().check()
    if json:
        output.print_json(findings)
    else:
        for finding in findings:
            output.print_line(f"{'ok' if finding.ok else 'FAILED':<8}{finding.name:<10}{finding.detail}")
            if finding.advice:
                output.print_line(f"{'':<18}{output.with_program_name(finding.advice)}")
    ctx.exit(next((finding.exit_code for finding in findings if not finding.ok), 0))


@click.command()
@click.option("--sizes", is_flag=True, help="Also what each table takes on the disk.")
@json_option
@click.pass_obj
def status(context: Context, sizes: bool, json: bool) -> None:
    """Show what is here and how far behind it is."""
    current = context.mirror().status(sizes=sizes)
    if json:
        output.print_json(_status_as_json(current))
    else:
        _print_status(current)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there already.")
@click.pass_obj
def backup(context: Context, file: Path, overwrite: bool) -> None:
    """Copy an SQLite mirror into FILE while others use it.

    FILE has the state of one moment, and appears whole or not at all. To restore it, end every process that
    uses the mirror, delete its -wal and -shm, copy FILE in its place, and run `scalesync queue distrust`.
    """
    # Unlike a sync, a backup that is stopped leaves nothing: its temporary file must be removed.
    from scalesync.cli.atomic_files import sigterm_as_interrupt

    with sigterm_as_interrupt(), _progress_bar(quiet=context.quiet) as watch:
        size = context.mirror().backup(file, overwrite=overwrite, on_progress=watch)
    if not context.quiet:
        click.echo(output.single_line(f"{size / 1e6:,.1f} MB in {file}"), err=True)


def _with_short_patience(context: Context) -> Context:
    return replace(context, patience=INTERACTIVE_PATIENCE) if context.patience is None else context


def _owner_sentence(result: "Initialized") -> str:
    """Return a sentence on the mirror's new owner, and whether the API accepted the key."""
    owner, asked = result.owner, result.asked
    if owner is None or asked is None:
        return ""
    sentence = f"The mirror belongs to the {owner.mode} account of the key {owner.account_fingerprint} now"
    if asked.projects is None:
        return f"{sentence}. The API could not be asked whether it takes that key: {asked.reason}"
    return f"{sentence}; {owner.api_url} takes that key."


def _status_as_json(current: "Status") -> dict[str, object]:
    names = (
        "database", "account", "watermarks", "open_windows", "runs", "queue", "gate", "verified", "proven",
    )  # fmt: skip
    return (
        {name: getattr(current, name) for name in names}
        | {
            "rows": current.counts,
            "behind_seconds": {stream: current.behind(stream) for stream in current.counts},
            "result_files_wanted": current.files_wanted,
            "result_files_unread": current.files_unread,
            "responses_unread": current.responses_unread,
            "replaced_responses": current.replaced_responses,
            "replaced_response_bytes": current.replaced_response_bytes,
        }
        | ({} if current.sizes is None else {"sizes": current.sizes})
    )


def _print_status(current: "Status") -> None:
    owner = (
        "of no account yet"
        if current.account is None
        else f"{current.account.mode} account, {current.account.api_url}"
    )
    output.print_text(f"{current.database} ({owner})\n")
    rows = (
        (
            stream,
            counts.here,
            current.watermarks.get(stream),
            output.format_duration(current.behind(stream)),
            _breakdown(counts),
        )
        for stream, counts in current.counts.items()
    )
    output.print_table(("stream", "rows", "complete up to", "behind", "by status"), rows)
    _print_what_is_left(current)
    _print_replaced_responses(current)
    output.print_text()
    for sentence in _verification_sentences(current):
        output.print_line(output.with_program_name(sentence))
    queued = [*queue_sentences(current.queue, current.gate), *attention_sentences(current.queue)]
    if queued:
        output.print_text("\nqueue: " + "\n       ".join(map(output.single_line, queued)))
    if current.runs:
        output.print_text()
        names = ("id", "kind", "started_at", "state", "requests", "rows_received", "rows_written", "error")
        columns = ("run", "kind", "as of", "state", "requests", "rows", "written", "error")
        output.print_table(columns, ([getattr(run, name) for name in names] for run in current.runs))
    if current.sizes is not None:
        output.print_text()
        print_sizes(current.sizes)


def _print_what_is_left(current: "Status") -> None:
    """Print what keeps the mirror from being complete, and which command goes on with it."""
    for stream in current.ahead():
        output.print_text(
            f"\n{stream}: complete up to an instant that is still to come by this machine's clock."
        )
        output.print_text(
            "If it was the API's clock that was ahead, the next sync reads again from before it."
        )
    run = current.incomplete_run
    if run is not None and run.id != current.runs[0].id:
        since = "no later one read as much: `scalesync sync --full` does"
        output.print_text(f"\nRun {run.id} ended incomplete, and {since}.")
    if current.open_windows:
        left = output.pluralize(current.open_windows, "window is", "windows are")
        output.print_text(f"\n{left} open: run `scalesync sync` to go on.")
    if current.files_wanted:
        wanted = output.pluralize(current.files_wanted, "result file is", "result files are")
        output.print_text(f"\n{wanted} not fetched yet: run `scalesync fetch-results` for their annotations.")
    if current.files_unread:
        unread = output.pluralize(current.files_unread, "result file was", "result files were")
        text = f"{unread} fetched and could not be read: `result_files.error` says why"
        output.print_text(f"\n{text}, and `scalesync fetch-results` tries again.")
    if current.responses_unread:
        unread = output.pluralize(current.responses_unread, "task has a response", "tasks have a response")
        text = f"{unread} of which a part has a form that scalesync does not know"
        output.print_text(f"\n{text}: it is in `tasks`; `unread_responses` says whose.")


def _print_replaced_responses(current: "Status") -> None:
    if current.replaced_responses:
        kept = output.pluralize(current.replaced_responses, "replaced response is", "replaced responses are")
        size = current.replaced_response_bytes / 1e6
        output.print_text(f"\n{kept} kept, {size:,.1f} MB: `scalesync diff TASK_ID` compares them.")


def _breakdown(counts: "ObjectCounts") -> str:
    parts = [f"{count:,} {state}" for state, count in counts.by_status.items()]
    return ", ".join(parts + ([f"{counts.missing:,} missing"] if counts.missing else []))


def _verification_sentences(now: "Status") -> Iterator[str]:
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
        differed = output.pluralize(last.drift, "object", "objects")
        yield f"{as_of}, {differed} differed: {_scope_text(last.scope)}{also}"
    elif last.unproven:
        yield f"{as_of}, not everything could be compared: {last.unproven}"
    else:
        yield f"proven {as_of}, by {_method(last)}: {_scope_text(last.scope)}{_behind_note(last)}"


def _method(verified: "VerificationRecord") -> str:
    return "whole documents" if verified.deep else "counts"


def _behind_note(verified: "VerificationRecord") -> str:
    behind = output.pluralize(verified.behind, "object that was", "objects that were")
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


@contextmanager
def _progress_bar(*, quiet: bool) -> "Iterator[Callable[[int, int], None]]":
    """Yield a callback (copied, total) that draws a bar if stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _copied, _pages: None
        return
    from scalesync.cli.progress import progress_bars

    with progress_bars() as progress:
        bar = progress.add_task("pages", total=None)
        yield lambda copied, pages: progress.update(bar, completed=copied, total=pages)


DOCS_FOLDER = Path(scalesync.__file__).parent / "docs"
TOPICS = tuple(sorted(path.stem for path in DOCS_FOLDER.glob("*.md")))


@click.command()
@click.argument("topic", type=click.Choice(TOPICS), metavar="[TOPIC]", required=False)
def docs(topic: str | None) -> None:
    """Print a page of the documentation, or list the pages.

    TOPIC is the name of a page; without it each is listed with its title.
    """
    if topic is not None:
        output.print_data(lines_of(topic))
        return
    for page in TOPICS:
        title = next(iter(lines_of(page))).decode().removeprefix("# ")
        output.print_line(f"{page:<{max(map(len, TOPICS))}}  {title}")


def lines_of(topic: str) -> list[bytes]:
    """Return the lines of a page, without line ends."""
    return (DOCS_FOLDER / f"{topic}.md").read_bytes().splitlines()


COMMANDS = (init, check, status, backup, docs)
