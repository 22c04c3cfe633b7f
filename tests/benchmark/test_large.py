"""The rehearsal of a large account keeps its figures, and does not repeat what it has."""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.benchmark.account import GENERATED
from tests.benchmark.harness import Harness
from tests.benchmark.large import CHANGED_SYNC, COMMANDS, FIRST_SYNC, Rehearsal, large, measure_parts
from tests.benchmark.options import parse
from tests.benchmark.peers.protocol import Job
from tests.benchmark.server import KEY, running
from tests.benchmark.tables import markdown

TASKS = 1_000


def harness_of(keep: Path, said: list[str]) -> Harness:
    """Return a harness of an empty stack for SQLite."""
    options = replace(parse(["--only", "large", "--engines", "sqlite"]), tasks=TASKS, keep=keep)
    return Harness(options, said.append, ExitStack())


def rehearse(url: str, kept: Path, rehearsal: Rehearsal) -> tuple[Harness, list[str]]:
    """Measure the parts on a database, and return the harness with the results, and what it said."""
    said: list[str] = []
    harness = harness_of(kept.parent, said)
    with harness.stack, running(TASKS, corpus=GENERATED) as api:
        measure_parts(harness, api, Job(api.url, KEY, url, TASKS), kept, rehearsal)
    return harness, said


def test_what_a_database_was_measured_for_is_shown_again_and_not_repeated(
    tmp_path: Path, sqlite_url: str
) -> None:
    """A sync, one after changes, and each kind of page once; the table has them."""
    some = [(name, arguments) for name, arguments in COMMANDS if name in {FIRST_SYNC, CHANGED_SYNC}]
    rehearsal = Rehearsal(some, turns=1)
    first, said = rehearse(sqlite_url, tmp_path / f"sqlite-{TASKS}.json", rehearsal)
    by_name = {one.name: one for one in first.results.all}

    assert not [one.failures for one in first.results.all if one.failures]
    assert by_name[f"scalesync {FIRST_SYNC}"].requests >= TASKS / 100
    assert by_name[f"scalesync {FIRST_SYNC}"].disk > 1_000 * TASKS
    assert by_name["page /task/ID"].seconds > 0
    assert "  1 tasks change" in said

    said = []
    again = harness_of(tmp_path, said)
    large(again, rehearsal)
    assert len(said) == 1
    assert again.results == first.results
    assert f"| `scalesync {FIRST_SYNC}`, 1,000 tasks, sqlite |" in markdown(again.results, ())


def test_without_its_first_sync_nothing_else_is_measured(tmp_path: Path, sqlite_url: str) -> None:
    """The failure is a result; a database of which a part failed is not taken for done."""
    kept = tmp_path / "sqlite.json"
    broken = Rehearsal(((FIRST_SYNC, ("nosuch",)), ("status", ("status",))), turns=1)
    failed, _ = rehearse(sqlite_url, kept, broken)

    results = [(one.name, bool(one.failures)) for one in failed.results.all]
    assert results == [(f"scalesync {FIRST_SYNC}", True)]
    assert json.loads(kept.read_text())["done"] is False
