"""`scalesync findings`: what looks wrong, in the forms of other lists, and when it ends with 1."""

import csv
import signal
import time
from collections import Counter
from typing import Any

import pytest

from scalesync import Mirror
from scalesync.errors import ConfigurationError
from scalesync.models.findings import Finding, FindingRule
from tests.support.cli_process import Scalesync, check_refusal, execute
from tests.support.sandboxes import StartSandbox

IMAGES = ("--type", "imageannotation")


@pytest.fixture
def synced(start_sandbox: StartSandbox, scalesync: Scalesync) -> Scalesync:
    """Return what runs commands on a mirror of an account, the files of which are not here."""
    run = scalesync.having(SCALESYNC_API_URL=start_sandbox(tasks=200).url)
    for command in ("init", "sync"):
        assert run(command).code == 0
    return run


def test_the_forms_agree_with_the_view(synced: Scalesync) -> None:
    """JSON, CSV, the counts and the table have what the view has of the same tasks."""
    statement = (
        "SELECT f.rule, f.task_id, f.ordinal, f.detail FROM annotation_findings f"
        " JOIN tasks t ON t.task_id = f.task_id WHERE t.type = 'imageannotation'"
    )
    expected: list[Any] = synced("sql", statement, "--format", "json").lines
    listed: list[Any] = synced("findings", *IMAGES, "--json").lines
    assert sorted(map(repr, listed)) == sorted(map(repr, expected))
    assert len(listed) > 3
    rows = list(csv.reader(synced("findings", *IMAGES, "--csv").out.splitlines()))
    assert rows[0] == ["rule", "task_id", "ordinal", "detail"]
    assert [(row[0], row[1]) for row in rows[1:]] == [(each["rule"], each["task_id"]) for each in listed]
    counted: Any = synced("findings", *IMAGES, "--counts", "--json").json
    assert list(counted) == list(FindingRule)
    assert {name: number for name, number in counted.items() if number} == Counter(
        each["rule"] for each in listed
    )
    table = synced("findings", *IMAGES).out.splitlines()
    assert len(table) == 1 + len(listed)
    assert len(synced("findings", *IMAGES, "--limit", "2").out.splitlines()) == 3


def test_what_fails_is_asked_for(synced: Scalesync) -> None:
    """With --fail-on, findings end with 1 after they are listed, also those behind the limit."""
    listed: list[Any] = synced("findings", *IMAGES, "--json").lines
    found = sorted({each["rule"] for each in listed})
    fine = next(rule for rule in FindingRule if rule not in found)
    assert synced("findings", *IMAGES, "--fail-on", fine).code == 0
    for rule in (found[0], "any"):
        failed = synced("findings", *IMAGES, "--limit", "1", "--fail-on", rule, "--json")
        assert (failed.code, len(failed.lines)) == (1, 1)
        assert f"by {rule}" in failed.err


def test_what_is_not_here_is_said(scalesync: Scalesync, synced: Scalesync) -> None:
    """Files that were not fetched, and a mirror that no sync has completed, end with 1."""
    videos = synced("findings", "--type", "videoannotation")
    assert videos.code == 1
    assert "annotations in files that are not here" in videos.err
    assert synced("findings", *IMAGES).code == 0
    strange = synced("findings", "--type", "chat")
    assert strange.code == 1
    assert "of which a part has a form that is not known" in strange.err
    empty = scalesync.having(SCALESYNC_DB="empty.db")
    assert empty("init").code == 0
    never = empty("findings")
    assert never.code == 1
    assert "not known to be complete" in never.err


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--rule nonsense", "sliver"),
        ("--iou 0", "not above 0"),
        ("--iou nan", "not above 0"),
        ("--iou 1.01", "at most 1"),
        ("--iou much", "not a number"),
        ("--csv --json", "Leave one of them out"),
        ("--csv --counts", "Leave one of them out"),
        ("--rule tiny --fail-on sliver", "Add --rule sliver"),
        ("--fail-on nothing", "any"),
        ("--limit -1", "less than 0"),
    ],
)
def test_wrong_options_get_a_sentence(line: str, sentence: str, scalesync: Scalesync) -> None:
    """And 2, before anything is searched."""
    assert scalesync("init").code == 0
    check_refusal(scalesync("findings", *line.split()), 2, sentence)


def test_findings_from_python(synced: Scalesync) -> None:
    """The same, one by one, with progress; wrong arguments are refused at once."""
    mirror = Mirror(synced.directory / "scalesync.db")
    events: list[Any] = []
    found = list(mirror.findings(type="imageannotation", on_event=events.append))
    assert all(type(each) is Finding for each in found)
    listed: list[Any] = synced("findings", *IMAGES, "--json").lines
    assert [each._asdict() for each in found] == listed
    assert (events[-1].tasks_done, events[-1].found) == (events[-1].tasks, len(found))
    assert list(mirror.findings(type="imageannotation", limit=2)) == found[:2]
    unseen = mirror.findings_unseen()
    assert unseen.complete
    assert unseen.tasks_in_files > 0
    for wrong in ({"iou": 0}, {"iou": float("nan")}, {"iou": 2}):
        with pytest.raises(ConfigurationError):
            mirror.findings(**wrong)
    with pytest.raises(ConfigurationError):
        mirror.findings("nonsense")


def test_ctrl_c_ends_a_search_at_once(empty_mirror: Scalesync) -> None:
    """Also in the middle of a statement that takes minutes: boxes of one label, of which no two are equal."""
    boxes = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29999)"
        ' INSERT INTO annotations (task_id, ordinal, label, geometry, "left", top, width, height)'
        " SELECT 't', i, 'a', 'box', 0, 0, 9, i + 1 FROM n"
    )
    task = "INSERT INTO tasks (task_id, digest, synced_at) VALUES ('t', '-', '2024-01-01T00:00:00.000Z')"
    for statement in (task, boxes):
        execute(empty_mirror.mirror, statement)
    with empty_mirror.started("findings", "--rule", "overlap", "--iou", "1") as process:
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        done = empty_mirror.ended(process)
    assert (done.code, time.monotonic() - began < 5) == (130, True)
    assert "Traceback" not in done.err
