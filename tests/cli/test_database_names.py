"""The file that `--db` names is the file that is used, whatever its name; what names none is refused."""

import os
from pathlib import Path

import pytest

from scalesync.errors import ConfigurationError
from scalesync.mirror import Mirror
from tests.support.cli_in_process import InProcess
from tests.support.cli_process import Scalesync, check_refusal

NAMES = (
    "a?b.db",
    "?",
    "a%20b.db",
    "a%3Fb.db",
    "a%",
    "%FF.db",
    "a#b.db",
    "a&b=c;d.db",
    " spaces .db ",
    "-x.db",
    "-",
    "q\"uo'te.db",
    "ü東😀.db",
    "new\nline.db",
    "~nobody.db",
    "tab\tand\x1b[2Jmore.db",
    "C:\\mirror.db",
    os.fsdecode(b"latin-\xe9.db"),
)
NONE = ("", ".", "none/", "./", "..", ":memory:", "file:x.db", "file:x.db?mode=memory", "a\0b")
URLS = (
    "sqlite://",
    "sqlite:///",
    "sqlite:///a?b.db",
    "sqlite:///a.db?mode=ro",
    "sqlite:///?",
    "sqlite:///:memory:",
    "sqlite://a.db",
    "sqlite:///%FF.db",
    "file:///a.db",
    "x://y",
    "://",
)


def files(directory: Path) -> list[str]:
    """Return the names of everything in a directory."""
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_file_that_was_named_is_used(name: str, scalesync: Scalesync) -> None:
    """By a relative and an absolute path, by the option and from Python; no other file is made."""
    assert isinstance(scalesync, InProcess)
    assert scalesync("--db", name, "init").code == 0
    assert files(scalesync.directory) == [name]
    path = str(scalesync.directory / name)
    shown = scalesync("--db", path, "status", "--json").json["database"]
    assert shown == path or not path.isprintable() or os.fsencode(path) != path.encode()
    assert scalesync("--db", name, "sql", "SELECT count(*) FROM tasks").out.split()[-1] == "0"
    assert scalesync("--db", name, "export", "tasks").code == 0
    assert Mirror(path).status().counts["tasks"].here == 0
    assert files(scalesync.directory) == [name]


@pytest.mark.parametrize("text", [*NONE, *URLS])
def test_what_names_no_file_is_refused(text: str, scalesync: Scalesync) -> None:
    """In one sentence; nothing is made, and a default is not taken in its place."""
    if text not in (".", ".."):
        with pytest.raises(ConfigurationError):
            Mirror(text).init()
    if "\0" not in text:
        check_refusal(scalesync("--db", text, "init"), 5 if text in (".", "..") else 2)
    assert files(scalesync.directory) == []


@pytest.mark.parametrize("name", ["file:x.db", ":memory:"])
def test_a_dot_before_it_lets_a_name_be_any(name: str, scalesync: Scalesync) -> None:
    """Also one that means something else to SQLite."""
    assert scalesync("--db", f"./{name}", "init").code == 0
    assert files(scalesync.directory) == [name]


def test_a_url_is_read_as_a_url(scalesync: Scalesync) -> None:
    """With its percent signs."""
    assert scalesync("--db", "sqlite:///a%20b%3F.db", "init").code == 0
    assert files(scalesync.directory) == ["a b?.db"]
