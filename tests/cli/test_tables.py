"""Tables for people: aligned, fitted to the terminal, and printed as their rows come."""

import io
from collections.abc import Iterator

import pytest

from scalesync.cli.output import print_table


class Terminal(io.StringIO):
    """A stdout that is a terminal; its width is that of COLUMNS."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def lines_of(text: str) -> list[str]:
    """Return the lines of a table, without what makes its heading bold."""
    return text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


@pytest.mark.parametrize("width", [1, 10_000])
def test_a_table_of_any_length_holds_few_rows(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """What came is printed while further rows are read: by their number, and by the length of their texts."""
    printed = 0
    furthest = 0

    def rows() -> Iterator[tuple[int, str]]:
        nonlocal printed, furthest
        for number in range(5_000):
            printed += capsys.readouterr().out.count("\n")
            furthest = max(furthest, number - printed)
            yield number, "x" * width

    print_table(("number", "text"), rows())

    assert printed + capsys.readouterr().out.count("\n") == 5_001
    assert furthest <= (1_000 if width == 1 else 101)


def test_columns_become_wider_for_later_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut off on a pipe, and rows of one portion stand below each other."""
    rows = [(number, "a") for number in range(1_000)] + [(10**12, "wide" * 5), (7, "b")]
    print_table(("n", "text"), rows)

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["  n  text", "  0  a"]
    assert lines[-2:] == ["1,000,000,000,000  " + "wide" * 5, "                7  b"]


def test_columns_stay_within_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that later rows make wider: the widest gives way."""
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    print_table(("name", "text"), [("n", "a")] * 1_000 + [("name of 15 long", "t" * 200)])

    *_, before, last = lines_of(terminal.getvalue())
    assert (before, last) == ("n     a", "name of 15 long  " + "t" * 22 + "…")


def test_a_table_without_rows_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    """And one of a single empty column is no error."""
    print_table(("name", "n"), [])
    print_table(("name",), [(None,)])

    assert capsys.readouterr().out == "name  n\nname\n-\n"
