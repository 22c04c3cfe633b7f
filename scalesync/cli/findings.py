"""`scalesync findings`: annotations that look wrong, by rule."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.context import Context
from scalesync.cli.filters import filters, selection_from, warn_of_filters
from scalesync.cli.lists import SCREENFUL
from scalesync.cli.output import (
    as_json_line,
    pluralize,
    print_data,
    print_json,
    print_line,
    print_lines,
    print_table,
)
from scalesync.cli.param_types import ParsedType, json_option
from scalesync.cli.progress import Tracker, progress
from scalesync.errors import ConfigurationError, IncompleteError
from scalesync.models.findings import DEFAULT_IOU, Finding, FindingRule, FindingsProgress

if TYPE_CHECKING:
    from scalesync.models.findings import UnseenAnnotations

ANY = "any"
"""The value of --fail-on that means every rule."""


def _iou(value: object) -> float:
    try:
        iou = float(str(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number.") from None
    if not isfinite(iou) or not 0 < iou <= 1:
        raise click.BadParameter(f"{value!r} is not above 0 and at most 1.")
    return iou


# As texts, for of an enum click would take the names of its members.
_RULES = [str(rule) for rule in FindingRule]
COLUMNS = ("rule", "task_id", "ordinal", "detail")


@click.command()
@click.option(
    "--rule",
    type=click.Choice(_RULES),
    multiple=True,
    help="By this rule; several times for more.",
)
@click.option(
    "--iou", type=ParsedType("number", _iou), default=DEFAULT_IOU, help="How much overlap is too much."
)
@click.option("--counts", is_flag=True, help="Only how many there are by each rule.")
@click.option(
    "--fail-on",
    type=click.Choice([*_RULES, ANY]),
    multiple=True,
    help="End with 1 if it finds something; several times for more.",
)
@click.option("--csv", is_flag=True, help="Print CSV.")
@json_option
@filters("tasks")
@click.pass_obj
def findings(
    context: Context,
    /,
    rule: tuple[str, ...],
    iou: float,
    counts: bool,
    fail_on: tuple[str, ...],
    csv: bool,
    json: bool,
    **options: Any,
) -> None:
    """List what looks wrong: on a terminal 30, otherwise all.

    `scalesync docs findings` says what each rule means. The other options choose tasks, but for --limit,
    which limits what is listed. Ends with 1 if --fail-on finds something, and if annotations are known to be
    missing here.
    """
    _check(rule, fail_on, formats=1 + json + counts if csv else 0)
    mirror, wanted = context.mirror(), selection_from("tasks", options)
    warn_of_filters(context, "tasks", options)
    if not (csv or json or counts) and options["limit"] is None and sys.stdout.isatty():
        wanted = replace(wanted, limit=SCREENFUL)
    # A search that is to fail, to count, or to say how many more there are does not end at the limit.
    whole = counts or bool(fail_on) or sys.stdout.isatty()
    with progress(_FindingsTracker(), quiet=context.quiet, bars=counts) as on_event:
        found = mirror.search_findings(rule, replace(wanted, limit=None) if whole else wanted, iou, on_event)
        if counts:
            seen = _print_counts(found, rule, as_json=json)
        else:
            seen = _print(found, wanted.limit, as_csv=csv, as_json=json)
    _raise_if_wrong(seen, fail_on, mirror.unseen_in(wanted))


def _check(rules: Sequence[str], fail_on: Sequence[str], *, formats: int) -> None:
    """Raise ConfigurationError for options that contradict each other."""
    if formats > 1:
        raise ConfigurationError(
            "--csv goes with neither --json nor --counts.", advice="Leave one of them out."
        )
    missed = [name for name in fail_on if rules and name not in (*rules, ANY)]
    if missed:
        msg = f"--fail-on {missed[0]} cannot find anything: that rule is not asked for."
        raise ConfigurationError(msg, advice=f"Add --rule {missed[0]}.")


def _print(found: Iterator[Finding], limit: int | None, *, as_csv: bool, as_json: bool) -> Counter[str]:
    """Print findings up to a limit; return how many there are by rule, also of those behind it."""
    seen: Counter[str] = Counter()
    listed = _counted(islice(found, limit), seen)
    if as_json:
        print_lines(as_json_line(finding._asdict()) for finding in listed)
    elif as_csv:
        from scalesync.export.csv_jsonl import csv_lines
        from scalesync.models.columns import Column, ColumnKind

        kinds = (ColumnKind.TEXT, ColumnKind.TEXT, ColumnKind.INTEGER, ColumnKind.TEXT)
        print_data(csv_lines([Column(*each) for each in zip(COLUMNS, kinds, strict=True)], listed))
    else:
        print_table(COLUMNS, listed)
    more = sum(1 for _ in _counted(found, seen))
    if more and sys.stdout.isatty() and not (as_csv or as_json):
        print_line(f"{more:,} more findings: `--limit 0` lists all.")
    return seen


def _counted(found: Iterable[Finding], seen: Counter[str]) -> Iterator[Finding]:
    for finding in found:
        seen[finding.rule] += 1
        yield finding


def _print_counts(found: Iterable[Finding], rules: Sequence[str], *, as_json: bool) -> Counter[str]:
    """Print how many findings there are by each rule that was asked for, and return it."""
    seen = Counter[str](finding.rule for finding in found)
    counts = {name: seen[name] for name in _RULES if name in rules or not rules}
    if as_json:
        print_json(counts)
    else:
        print_table(("rule", "findings"), list(counts.items()))
    return seen


def _raise_if_wrong(seen: Mapping[str, int], fail_on: Sequence[str], unseen: "UnseenAnnotations") -> None:
    """Raise IncompleteError for findings that are to fail, and for annotations that could not be searched."""
    reasons, advice = [], []
    failing = sum(number for rule, number in seen.items() if rule in fail_on or ANY in fail_on)
    if failing:
        reasons.append(f"{pluralize(failing, 'finding', 'findings')} by {', '.join(fail_on)}.")
        advice.append("`scalesync docs findings` says what each rule means.")
    if not unseen.complete:
        reasons.append("The tasks here are not known to be complete.")
        advice.append("Run `scalesync sync`.")
    if unseen.tasks_in_files:
        tasks = pluralize(unseen.tasks_in_files, "task has", "tasks have")
        reasons.append(f"{tasks} annotations in files that are not here, or were not read.")
        advice.append("Run `scalesync fetch-results`.")
    if unseen.responses_unread:
        tasks = pluralize(unseen.responses_unread, "task has", "tasks have")
        reasons.append(f"{tasks} a response of which a part has a form that is not known.")
        advice.append("Look at the tasks in `unread_responses`.")
    if reasons:
        raise IncompleteError(" ".join(reasons), advice=" ".join(advice))


class _FindingsTracker(Tracker):
    """Counts tasks that were searched."""

    log = logging.getLogger("scalesync.findings")
    counter, counted = "tasks", FindingsProgress
    minor = (FindingsProgress,)

    def __init__(self) -> None:
        """Start at zero."""
        self._last = FindingsProgress(0, 0, 0)

    def count(self, event: FindingsProgress) -> None:
        """Keep an event, which has all the numbers."""
        self._last = event

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return the tasks that were searched, and all."""
        return {"tasks": (self._last.tasks_done, self._last.tasks)}

    def line(self, counter: str) -> str:
        """Return how far the search is as a sentence."""
        found = pluralize(self._last.found, "finding", "findings")
        return f"{counter}: {self._last.tasks_done:,} of {self._last.tasks:,} searched, {found}"

    def fields(self, event: FindingsProgress) -> dict[str, object]:
        """Return the log fields of an event."""
        return event._asdict()


COMMANDS = (findings,)
