"""What is on the screen is in words that people know; those that need a meaning have it in the README."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import scalesync
import scalesync.errors
from scalesync.cli import queue_format
from scalesync.cli.main import cli
from scalesync.cli.output import program_name
from scalesync.errors import ScaleException
from tests.readme import PROSE, table_rows
from tests.structure.test_command_line import commands
from tests.support.cli_process import Scalesync, check_refusal, scalesync_in

PACKAGE = Path(scalesync.__file__).parent
UNKNOWN = re.compile(
    r"\b(put back|gate|fence|stamped|no form known|had no say|no say|in doubt of|hung on|hangs on|vouch\w*)\b"
)
"""Words of the code that say nothing to somebody who has not read it."""


def texts(path: Path) -> Iterator[str]:
    """Yield the texts in a module that may be shown: no docstrings, and nothing of a single word."""
    tree = ast.parse(path.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) and id(node) not in told else None
        if isinstance(value, str) and " " in value.strip():
            yield value


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_message_has_a_word_that_nobody_knows(path: Path) -> None:
    """Nor a class of ours for a name."""
    classes = [name for name, kind in vars(scalesync.errors).items() if isinstance(kind, type)]

    for text in texts(path):
        assert not UNKNOWN.search(text)
        assert not re.search(rf"\b({'|'.join(classes)})\b", text)


def test_no_help_nor_heading_has_one() -> None:
    """Of any command; nor has the running text of the README and the documentation."""
    for path, command in commands():
        shown_help = command.get_help(click.Context(command, info_name=" ".join(path)))
        assert not UNKNOWN.search(shown_help), path
    assert not UNKNOWN.search(re.sub("`[^`]*`", "", PROSE))
    assert {"of", "why"} & set(queue_format.COLUMNS) == set()
    assert cli.name == "cli"


def test_an_error_without_words_is_not_called_by_its_class() -> None:
    """An API may refuse without saying why."""
    assert str(ScaleException("", 418)) == "418: The API gave no reason."


def test_a_request_that_is_tried_again_says_why_in_words(empty_mirror: Scalesync) -> None:
    """With and without --verbose."""
    away = empty_mirror.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1", SCALESYNC_PATIENCE="1s")
    for words in ("sync", "sync -v"):
        done = away(*words.split())
        assert (done.code, "no connection" in done.err) == (4, True), done.err
        assert "Scale" not in done.err.replace("the Scale API", "")


def test_the_words_that_remain_are_explained() -> None:
    """Ten of them."""
    rows = table_rows("Words")

    assert [len(row) for row in rows] == [2] * 10
    assert {"in doubt", "dead", "window", "watermark", "lookback", "lease"} <= {row[0] for row in rows}


def test_advice_names_the_program_as_it_can_be_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name where PATH has it; else by the script or the Python that it was started with."""
    runs = scalesync_in(tmp_path).having(PATH="/nowhere")
    script = Path(sys.executable).parent / "scalesync"

    by_module = runs("status")
    by_script = subprocess.run(
        [script, "status"], cwd=tmp_path, env=runs.environment(), capture_output=True, text=True, check=False
    )
    by_path = runs.having(PATH=str(script.parent))("status")

    check_refusal(by_module, 5, f"Run `{sys.executable} -m scalesync init` first.")
    assert f"Run `{script} init` first." in by_script.stderr
    check_refusal(by_path, 5, "Run `scalesync init` first.")
    monkeypatch.setattr(sys, "argv", ["/a b/scalesync"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert program_name() == "'/a b/scalesync'"
