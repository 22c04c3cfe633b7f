"""Commands about the mirror itself: init, check, status, backup, docs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

import scalesync
from scalesync.cli.context import Context
from scalesync.cli.output import (
    as_called,
    format_duration,
    pluralize,
    print_data,
    print_json,
    print_line,
    print_table,
    print_text,
    single_line,
)
from scalesync.cli.param_types import json_option
from scalesync.cli.queue_format import depth_sentences, needs
from scalesync.cli.verify_format import proof_sentences

if TYPE_CHECKING:
    from scalesync.account_adoption import Initialized
    from scalesync.models.selection import ObjectCounts
    from scalesync.status import CheckResult, Status

IMPATIENT = timedelta(seconds=5)
"""How long the API is asked again unless told otherwise where somebody is waiting for the answer."""


@click.command()
@click.option("--adopt", is_flag=True, help="Hand the mirror over to the present key, after a key rotation.")
@click.pass_obj
def init(context: Context, adopt: bool) -> None:
    """Create or upgrade the schema; safe to run twice.

    --adopt asks the API first whether it takes the key: ends with 3, and changes nothing, if it does not.
    """
    done = (_impatient(context) if adopt else context).mirror().init(adopt=adopt)
    if context.quiet:
        return
    before, after = done.before, done.after
    became = (
        "is up to date" if before == after else "created" if before is None else f"upgraded from {before}"
    )
    click.echo(f"Schema {after} {became}.", err=True)
    if adopt:
        click.echo(single_line(_whose(done)), err=True)


@click.command()
@json_option
@click.pass_context
def check(ctx: click.Context, json: bool) -> None:
    """Look at database, key and API; say what to do."""
    findings = _impatient(ctx.obj).mirror().check()
    if json:
        print_json(findings)
    else:
        _print_findings(findings)
    ctx.exit(next((finding.exit_code for finding in findings if not finding.ok), 0))


@click.command()
@json_option
@click.pass_obj
def status(context: Context, json: bool) -> None:
    """Show what is here and how far behind it is."""
    now = context.mirror().status()
    if json:
        print_json(_status_as_json(now))
    else:
        _print_status(now)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there already.")
@click.pass_obj
def backup(context: Context, file: Path, overwrite: bool) -> None:
    """Copy an SQLite mirror into FILE while others use it.

    FILE has the state of one moment, and appears whole or not at all. To restore it, end every process that
    uses the mirror, delete its -wal and -shm, copy FILE in its place, and run `scalesync queue distrust`.
    """
    from scalesync.cli.atomic_files import ended_by_sigterm

    with ended_by_sigterm(), _watching(quiet=context.quiet) as watch:
        size = context.mirror().backup(file, overwrite=overwrite, on_progress=watch)
    if not context.quiet:
        click.echo(single_line(f"{size / 1e6:,.1f} MB in {file}"), err=True)


def _impatient(context: Context) -> Context:
    return replace(context, patience=IMPATIENT) if context.patience is None else context


def _whose(done: "Initialized") -> str:
    """Return whose mirror it is now, and whether the API was asked about the key."""
    owner, asked = done.owner, done.asked
    if owner is None or asked is None:
        return ""
    whose = f"The mirror belongs to the {owner.mode} account of the key {owner.account_fingerprint} now"
    if asked.projects is None:
        return f"{whose}. The API could not be asked whether it takes that key: {asked.reason}"
    return f"{whose}; {owner.api_url} takes that key."


def _print_findings(findings: "list[CheckResult]") -> None:
    for finding in findings:
        print_line(f"{'ok' if finding.ok else 'FAILED':<8}{finding.name:<10}{finding.detail}")
        if finding.advice:
            print_line(f"{'':<18}{as_called(finding.advice)}")


def _status_as_json(now: "Status") -> dict[str, object]:
    return {
        "database": now.database,
        "account": now.account,
        "rows": now.counts,
        "watermarks": now.watermarks,
        "behind_seconds": {stream: now.behind(stream) for stream in now.counts},
        "open_windows": now.open_windows,
        "runs": now.runs,
        "queue": now.queue,
        "gate": now.gate,
        "result_files_wanted": now.files_wanted,
        "result_files_unread": now.files_unread,
        "verified": now.verified,
        "proven": now.proven,
    }


def _print_status(now: "Status") -> None:
    owner = (
        "of no account yet" if now.account is None else f"{now.account.mode} account, {now.account.api_url}"
    )
    print_text(f"{now.database} ({owner})\n")
    rows = (
        (
            stream,
            counts.here,
            now.watermarks.get(stream),
            format_duration(now.behind(stream)),
            _breakdown(counts),
        )
        for stream, counts in now.counts.items()
    )
    print_table(("stream", "rows", "complete up to", "behind", "by status"), rows)
    for stream in now.ahead():
        print_text(f"\n{stream}: complete up to an instant that is still to come by this machine's clock.")
        print_text("If it was the API's clock that was ahead, the next sync reads again from before it.")
    if now.open_windows:
        left = pluralize(now.open_windows, "window is", "windows are")
        print_text(f"\n{left} open: run `scalesync sync` to go on.")
    if now.files_wanted:
        wanted = pluralize(now.files_wanted, "result file is", "result files are")
        print_text(f"\n{wanted} not fetched yet: run `scalesync fetch-results` for their annotations.")
    if now.files_unread:
        unread = pluralize(now.files_unread, "result file was", "result files were")
        text = f"{unread} fetched and could not be read: `result_files.error` says why"
        print_text(f"\n{text}, and `scalesync fetch-results` tries again.")
    print_text()
    for sentence in proof_sentences(now):
        print_line(as_called(sentence))
    queued = [*depth_sentences(now.queue, now.gate), *needs(now.queue)]
    if queued:
        print_text("\nqueue: " + "\n       ".join(map(single_line, queued)))
    if now.runs:
        print_text()
        names = ("id", "kind", "started_at", "state", "requests", "rows_received", "rows_written", "error")
        columns = ("run", "kind", "as of", "state", "requests", "rows", "written", "error")
        print_table(columns, ([getattr(run, name) for name in names] for run in now.runs))


def _breakdown(counts: "ObjectCounts") -> str:
    parts = [f"{count:,} {state}" for state, count in counts.by_status.items()]
    return ", ".join(parts + ([f"{counts.missing:,} missing"] if counts.missing else []))


@contextmanager
def _watching(*, quiet: bool) -> "Iterator[Callable[[int, int], None]]":
    """Yield a watcher that draws a bar where stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _copied, _pages: None
        return
    from scalesync.cli.progress import drawing

    with drawing() as bars:
        bar = bars.add_task("pages", total=None)
        yield lambda copied, pages: bars.update(bar, completed=copied, total=pages)


FOLDER = Path(scalesync.__file__).parent / "docs"
TOPICS = tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


@click.command()
@click.argument("topic", type=click.Choice(TOPICS), metavar="[TOPIC]", required=False)
def docs(topic: str | None) -> None:
    """Print a page of the documentation, or list the pages.

    TOPIC is the name of a page; without it each is listed with its title.
    """
    if topic is not None:
        print_data(lines_of(topic))
        return
    for each in TOPICS:
        title = next(iter(lines_of(each))).decode().removeprefix("# ")
        print_line(f"{each:<{max(map(len, TOPICS))}}  {title}")


def lines_of(topic: str) -> list[bytes]:
    """Return the lines of a page, without their ends."""
    return (FOLDER / f"{topic}.md").read_bytes().splitlines()


COMMANDS = (init, check, status, backup, docs)
