"""Show the figures as tables, on a terminal and in Markdown."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from tests.benchmark.results import FLOOR, OURS, Result, Results, title
from tests.benchmark.targets import Target

HEADS = (
    "", "tasks", "s, median", "min", "max", "tasks/s", "scalesync is", "CPU s", "peak MB", "requests", "disk",
)  # fmt: skip

_BY_THEMSELVES = ("no-change", "pages", "large", "publish")
"""Stages whose time does not grow with the number of tasks, or of which each row is other work."""


def show(results: Results, targets: Sequence[Target], console: Console) -> None:
    """Print a table for each stage, database and corpus, and one of the targets."""
    for corpus, figures in results.corpora.items():
        ours = results.find("sync", OURS, "sqlite", corpus) or results.find("sync", OURS, "postgres", corpus)
        rows = f" and {ours.annotations / ours.tasks:.2f} annotation rows" if ours else ""
        console.print(f"{corpus}: a task has {figures.bytes_per_task:,.0f} bytes of JSON{rows} on average;")
        console.print(f"  the server gives a bare client {figures.upper_bound:,.0f} tasks/s.")
    for group in results.groups():
        table = Table(*HEADS, title=title(group), title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for one in group:
            table.add_row(*_cells(group[0], one))
        console.print(table)
    table = Table("to be reached", "wanted", "measured", "", title="targets", title_justify="left")
    for target in targets:
        table.add_row(target.name, target.wanted, target.measured, "reached" if target.reached else "MISSED")
    if targets:
        console.print(table)


def _cells(ours: Result, one: Result) -> tuple[str, ...]:
    if not one.rounds:
        return (one.name, f"{one.tasks:,}", f"failed: {one.failures[-1]:.60}")
    return (
        one.name,
        f"{one.tasks:,}",
        f"{one.seconds:.2f}",
        f"{one.fastest:.2f}",
        f"{one.slowest:.2f}",
        "" if one.stage in _BY_THEMSELVES else f"{one.rate:,.0f}",
        beside(ours, one),
        f"{one.cpu:.2f}",
        f"{one.peak / 1e6:.0f}" if one.peak else "",
        f"{one.requests:,}",
        _disk(one),
    )


def beside(ours: Result, one: Result) -> str:
    """Return how scalesync compares with another peer; "" where that has no meaning."""
    if ours is one or not ours.rounds or one.name.startswith("scalesync") or one.stage in _BY_THEMSELVES:
        return ""
    if one.name == FLOOR:
        return f"{one.rate / ours.rate:.2f} x its time"
    return f"{ours.rate / one.rate:.1f} x as fast"


def markdown(results: Results, targets: Sequence[Target]) -> str:
    """Return the tables of benchmarks.md: speeds of peers, idle commands, targets."""
    speeds, idle = list(_speeds(results)), list(_idle(results))
    met = [(one.name, one.wanted, one.measured, "yes" if one.reached else "no") for one in targets]
    tables = (
        (("work", "peer", "seconds (from, to)", "tasks/s", "scalesync is", "peak memory"), speeds),
        (("command", "seconds", "seconds of CPU", "requests", "peak memory", "disk"), idle),
        (("to be reached", "wanted", "measured", "reached"), met),
    )
    return "\n\n".join(_table(heads, rows) for heads, rows in tables if rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _speeds(results: Results) -> Iterator[tuple[str, ...]]:
    for group in results.groups():
        for one in group:
            if one.rounds and one.stage not in _BY_THEMSELVES:
                yield (
                    f"{title([one])}, {one.tasks:,}",
                    one.name,
                    f"{one.seconds:.2f} ({one.fastest:.2f}, {one.slowest:.2f})",
                    f"{one.rate:,.0f}",
                    beside(group[0], one),
                    _memory(one),
                )


def _idle(results: Results) -> Iterator[tuple[str, ...]]:
    for one in results.all:
        if one.rounds and one.stage in _BY_THEMSELVES:
            name = f"`{one.name}`, {one.tasks:,} tasks"
            engine = f", {one.engine}" if one.stage == "large" else ""
            requests = f"{one.requests:,}"
            yield name + engine, f"{one.seconds:.2f}", f"{one.cpu:.2f}", requests, _memory(one), _disk(one)


def _memory(one: Result) -> str:
    return f"{one.peak / 1e6:.0f} MB" if one.peak else ""


def _disk(one: Result) -> str:
    return f"{one.disk / 1e6:,.0f} MB" if one.disk else ""
