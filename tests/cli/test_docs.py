"""`scalesync docs`: the pages of the documentation, as they are installed with the program."""

from pathlib import Path

import pytest

import scalesync
from tests.support.cli_process import Scalesync, check_refusal

PAGES = sorted((Path(scalesync.__file__).parent / "docs").glob("*.md"))


def test_without_a_topic_every_page_is_listed_by_its_title(scalesync: Scalesync) -> None:
    """A line each, and no mirror is made."""
    done = scalesync("docs")

    titles = [line.split(maxsplit=1) for line in done.out.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert titles == [[page.stem, page.read_text().splitlines()[0].removeprefix("# ")] for page in PAGES]
    assert {"tables", "views", "guarantees"} <= {name for name, _ in titles}
    assert list(scalesync.directory.iterdir()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_topic_prints_its_page(page: Path, scalesync: Scalesync) -> None:
    """To the letter, with any global options."""
    done = scalesync("--db", "postgresql://nowhere/x", "docs", page.stem, "--quiet")

    assert (done.code, done.out, done.err) == (0, page.read_text(), "")


def test_an_unknown_topic_is_refused_with_those_that_there_are(scalesync: Scalesync) -> None:
    """In one sentence."""
    check_refusal(scalesync("docs", "nonsense"), 2, "'nonsense'", *(f"'{page.stem}'" for page in PAGES))
