"""Files and directories are written whole or not at all, whatever ends the writing."""

import os
import signal
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest

from scalesync.cli.atomic_files import atomic_directory, atomic_write
from scalesync.errors import ConfigurationError


def write_and_raise(lent: AbstractContextManager[IO[bytes] | Path], number: signal.Signals) -> None:
    """Write a part of what is wanted, and be signaled."""
    with lent as given:
        if isinstance(given, Path):
            (given / "new").touch()
        else:
            given.write(b"new")
        signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_what_was_there(number: signal.Signals, tmp_path: Path) -> None:
    """Both end the command as an interruption, and no remains lie about."""
    (tmp_path / "file").write_text("the old one")
    (tmp_path / "made").mkdir()
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        write_and_raise(atomic_write(tmp_path / "file"), number)
    with pytest.raises(KeyboardInterrupt):
        write_and_raise(atomic_directory(tmp_path / "made", lambda _: True), number)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "made"]
    assert (tmp_path / "file").read_text() == "the old one"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_directory_is_exchanged_for_another(tmp_path: Path) -> None:
    """Through a link to it; for its owner only; one that is not there yet is made."""
    lake, link = tmp_path / "lake", tmp_path / "link"
    link.symlink_to("lake")
    for name in ("one", "two"):
        with atomic_directory(link, lambda there: [path.name for path in there.iterdir()] == ["one"]) as made:
            (made / name).touch()
        assert [path.name for path in lake.iterdir()] == [name]
    assert (link.is_symlink(), lake.stat().st_mode & 0o777) == (True, 0o700)
    with pytest.raises(ConfigurationError), atomic_directory(link, lambda _: False):
        pass
    assert sorted(os.listdir(tmp_path)) == ["lake", "link"]  # noqa: PTH208 - names
