"""The folder of a dataset: names that are safe and unique, and what may be replaced."""

import shutil
import stat
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis.strategies import characters, text

from scalesync.export.dataset_folder import DatasetFolder, is_earlier_export, stem_of, yaml_text

HEX = "5774cc78b02487a424089c38"
ODD = ["", ".", "..", "a/b", "A" * 24, "a" * 24 + "\n", "con", "é", "日本", "x" * 300, "\0", HEX.upper()]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a folder that was written and signed."""
    (root := tmp_path / "made").mkdir()
    folder = DatasetFolder(root)
    folder.make("labels/train")
    folder.write("labels/train/é 1.txt", b"1")
    folder.write("data.yaml", b"2")
    folder.sign("yolo")
    return root


def test_ids_of_scale_are_names_as_they_are() -> None:
    """All others are short, safe, and with a hash that no other id has."""
    assert stem_of(HEX) == HEX
    found = [stem_of(each) for each in ODD]
    assert len({name.lower() for name in found}) == len(ODD)
    for name in found:
        assert len(name) <= 64
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        assert "-" in name


@given(text(characters(exclude_categories=())))
def test_every_text_comes_back_from_yaml(given_text: str) -> None:
    """Any text is read back equal; half a character comes back as it is, or only the reader refuses it."""
    quoted = yaml_text(given_text)
    assert len(quoted.splitlines()) == 1
    quoted.encode()
    if not any("\ud800" <= char <= "\udfff" for char in given_text):
        assert yaml.safe_load(f"names:\n  0: {quoted}\n") == {"names": {0: given_text}}


def test_files_are_for_their_owner_and_written_once(made: Path) -> None:
    """A name that is there already is an error of ours, and nothing is overwritten."""
    assert stat.S_IMODE((made / "data.yaml").stat().st_mode) == 0o600
    for place in ("labels", "labels/train"):
        assert stat.S_IMODE((made / place).stat().st_mode) == 0o700
    with pytest.raises(FileExistsError):
        DatasetFolder(made).write("data.yaml", b"")


def test_an_earlier_export_is_known_again(made: Path, tmp_path: Path) -> None:
    """Also with changed files, and with caches of Ultralytics; an empty folder may be used."""
    assert is_earlier_export(made)
    (made / "labels" / "train.cache").write_bytes(b"x")
    (made / "data.yaml").write_bytes(b"edited")
    assert is_earlier_export(made)
    (empty := tmp_path / "empty").mkdir()
    assert is_earlier_export(empty)


@pytest.mark.parametrize("name", ["mine.txt", "labels/train/mine.txt", ".hidden", "new/place/x.jpg"])
def test_a_folder_with_a_file_of_somebody_else_is_none(made: Path, name: str) -> None:
    """A file is noticed in any folder, under any name, and in place of another."""
    (made / name).parent.mkdir(parents=True, exist_ok=True)
    (made / name).write_bytes(b"")
    assert not is_earlier_export(made)
    (made / "data.yaml").unlink()
    assert not is_earlier_export(made)


def test_a_folder_that_is_not_signed_is_none(made: Path, tmp_path: Path) -> None:
    """Nor is one with a link to elsewhere, or with a signature that is none."""
    (tmp_path / "elsewhere").mkdir()
    (made / "link").symlink_to(tmp_path / "elsewhere")
    assert not is_earlier_export(made)
    (made / "link").unlink()
    for content in (b"", b"[]", b"{}", b"\xff", b"[" * 100_000):
        (made / ".scalesync-export.json").write_bytes(content)
        assert not is_earlier_export(made)
    (made / ".scalesync-export.json").unlink()
    assert not is_earlier_export(made)
    shutil.rmtree(made / "labels")
    (made / "data.yaml").unlink()
    (made / "empty folder of somebody").mkdir()
    assert not is_earlier_export(made)


def test_pictures_are_copied_or_linked(tmp_path: Path) -> None:
    """A link is to the same file; what is not there, or is no file, is said."""
    (source := tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "root").mkdir()
    folder = DatasetFolder(tmp_path / "root")
    assert folder.place(source, "copy.png", link=False)
    assert folder.place(source, "link.png", link=True)
    assert not folder.place(tmp_path / "none.png", "none.png", link=True)
    assert not folder.place(tmp_path, "none.png", link=True)
    placed = (tmp_path / "root" / "link.png", tmp_path / "root" / "copy.png")
    inodes = [each.stat().st_ino for each in (source, *placed)]
    assert inodes[0] == inodes[1] != inodes[2]
    assert (tmp_path / "root/copy.png").read_bytes() == b"picture"
    folder.sign("yolo")
    assert is_earlier_export(tmp_path / "root")
