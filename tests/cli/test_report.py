"""`scalesync report` writes one whole file or none, and says what is not known to be complete."""

import os
import subprocess
import sys

import html5lib
import pytest

from scalesync.models.commands import CommandState
from tests.support.cli_process import Scalesync, check_refusal

WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from scalesync.__main__ import main
main()
"""


def test_a_report_is_a_file_for_its_owner(mirror: Scalesync) -> None:
    """Written over an older one, with what is to be known about the mirror on stderr."""
    path = mirror.directory / "report.html"
    path.write_text("older")
    done = mirror("report", "-o", "report.html", "--with-samples", "3")
    assert (done.code, done.out) == (0, "")
    assert "Warning: Not proven equal to the API yet" in done.err
    assert done.err.splitlines()[-1] == "1,000 tasks in report.html"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text.count('<figure class="chart"') == 6
    assert text.count('aria-label="Shapes of task') == 3
    assert [each.name for each in mirror.directory.iterdir() if each.name.startswith(".")] == []


def test_a_report_goes_to_stdout(mirror: Scalesync) -> None:
    """With `-o -` and without -o; of one project, and since a time; quietly."""
    whole = mirror("--quiet", "report")
    part = mirror("--quiet", "report", "-o", "-", "--project", "Street scenes", "--since", "60d")
    for done in (whole, part):
        assert (done.code, done.err) == (0, "")
        assert html5lib.HTMLParser(strict=False).parse(done.out) is not None
    assert "Of the tasks of project Street scenes and batches created since" in part.out
    assert part.out.count("<td>") < whole.out.count("<td>")


def test_an_unknown_project_is_said(mirror: Scalesync) -> None:
    """The report is written, of nothing."""
    done = mirror("report", "--project", "Street scene")
    assert done.code == 0
    assert "Warning: no project 'Street scene' is known here: did you mean 'Street scenes'?" in done.err


def test_an_empty_mirror_has_a_report(empty_mirror: Scalesync) -> None:
    """It ends with 0, as `status` does, and says that nothing was synced."""
    done = empty_mirror("report", "-o", "report.html")
    assert done.code == 0
    assert "This mirror was never synced completely" in done.err
    assert "This mirror was never synced completely" in (empty_mirror.directory / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-o", "nowhere/report.html"), 2, "Cannot write nowhere/report.html"),
        (("-o", "scalesync.db"), 2, "is an SQLite database"),
        (("--since", "soon"), 2, "is not a time"),
        (("--with-samples", "201"), 2, "--with-samples"),
        (("--project", ""), 2, "--project"),
    ],
)
def test_what_cannot_be_written_is_refused(
    mirror: Scalesync, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """With one sentence, and nothing is changed."""
    before = {path: path.stat().st_size for path in mirror.directory.iterdir()}
    check_refusal(mirror("report", *arguments), code, words)
    after = {path: path.stat().st_size for path in mirror.directory.iterdir()}
    assert {path for path in before.keys() ^ after.keys() if "-" not in path.name} == set()


def test_a_missing_mirror_has_no_report(scalesync: Scalesync) -> None:
    """It ends with 5, and no file is made."""
    done = scalesync("report", "-o", "report.html")
    assert done.code == 5
    assert list(scalesync.directory.iterdir()) == []


@pytest.mark.parametrize("library", ["jinja2", "starlette"])
def test_without_its_extra_the_report_names_it(mirror: Scalesync, library: str) -> None:
    """One sentence with what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, library, "report", "-o", "report.html"],
        cwd=mirror.directory,
        env=os.environ | mirror.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install '.[web]'" in done.stderr
    assert not (mirror.directory / "report.html").exists()


def test_commands_that_need_a_person_are_in_the_report(mirror: Scalesync) -> None:
    """As in `status`: how many, and where to look."""
    assert mirror("task", "create", "annotation", "attachment=https://example.com/1.jpg").code == 0
    out = mirror("report").out
    assert "1 command open" in out
    assert f"<td>{CommandState.QUEUED}</td>" in out
