"""Write the folder of a dataset file by file, and know it again before it is replaced."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import IO

_MARK = ".scalesync-export.json"
"""The file that describes an export; readers of datasets ignore hidden files."""
_CACHE_SUFFIX = ".cache"
"""Of files that Ultralytics adds beside labels."""
_PLAIN_ID = re.compile("[0-9a-z_]{5,64}")
_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP)
_HASH_DIGITS = 16
_AT_ONCE = 1 << 20

_YAML_LINE_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""Characters that YAML takes for line breaks or refuses, and that JSON does not escape."""


class DatasetFolder:
    """Adds files to a new folder, readable by their owner only, and signs it at the end.

    The signature is a fingerprint of the names of all its files: `is_earlier_export` compares it, so that
    no file that somebody added is lost with an earlier export.
    """

    def __init__(self, root: Path) -> None:
        """Write below `root`, an empty directory."""
        self.root = root
        self._names = _Fingerprint()

    def sign(self, format_name: str) -> None:
        """Write the description by which the folder is known as an export of ours."""
        text = json.dumps({"format": format_name, "files": self._names.count, "names": self._names.digest()})
        with self._new(_MARK) as file:
            file.write(text.encode() + b"\n")

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """Yield a new file to write; `name` is its path below the folder, with `/`."""
        self._names.add(name)
        with self._new(name) as file:
            yield file

    def write(self, name: str, data: bytes) -> None:
        """Write one file as a whole."""
        with self.create(name) as file:
            file.write(data)

    def make(self, name: str) -> None:
        """Make a directory, which may stay empty."""
        # One by one: with `parents`, those above the last would be open to everybody.
        for part in accumulate(Path(name).parts, lambda above, below: f"{above}/{below}"):
            (self.root / part).mkdir(mode=0o700, exist_ok=True)

    def place(self, source: Path, name: str, *, link: bool) -> bool:
        """Copy a file into the folder, or link it where the file system can; False if it is not there."""
        try:
            file = source.open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            return False
        with file:
            if not (link and self._linked(source, name)):
                with self._new(name) as target:
                    shutil.copyfileobj(file, target, _AT_ONCE)
        self._names.add(name)
        return True

    def _linked(self, source: Path, name: str) -> bool:
        try:
            os.link(source, self.root / name)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            return False
        return True

    def _new(self, name: str) -> IO[bytes]:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        return os.fdopen(os.open(self.root / name, flags, 0o600), "wb")


class _Fingerprint:
    """Count and digest of names, in any order and in constant memory."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, name: str) -> None:
        """Add the name of one file."""
        # A sum, because folders are listed in any order.
        hashed = blake2b(os.fsencode(name), digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(hashed, "big")) % 2**128
        self.count += 1

    def digest(self) -> str:
        """Return the digest of the names that were added so far."""
        return f"{self._sum:032x}"


def is_earlier_export(directory: Path) -> bool:
    """Return whether a folder is empty, or holds the files of one dataset that was written here, no others.

    Caches that Ultralytics adds are allowed.
    """
    found = _Fingerprint()
    for place, folders, files in os.walk(directory):
        if any(Path(place, folder).is_symlink() for folder in folders):
            return False
        for file in files:
            name = Path(place, file).relative_to(directory).as_posix()
            if name != _MARK and not name.endswith(_CACHE_SUFFIX):
                found.add(name)
    try:
        signed = json.loads((directory / _MARK).read_bytes())
    except FileNotFoundError:
        return not any(directory.iterdir())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(signed, dict) and (signed.get("files"), signed.get("names")) == (
        found.count, found.digest()
    )  # fmt: skip


def stem_of(task_id: str) -> str:
    """Return the name of a task's files without an ending: safe on every file system, and its only one."""
    if _PLAIN_ID.fullmatch(task_id):
        return task_id
    # No plain id has a `-`, so no two tasks share a name, also where `A` and `a` are one.
    kept = re.sub("[^0-9a-z_]", "_", task_id.lower())[:40]
    hashed = blake2b(task_id.encode(errors="surrogatepass"), digest_size=_HASH_DIGITS // 2).hexdigest()
    return f"{kept}-{hashed}"


def yaml_text(text: str) -> str:
    """Return a text as YAML in double quotes, which is also JSON; every reader gives the same text back."""
    # Not ASCII only: JSON would write a character beyond U+FFFF as two, which YAML does not put together.
    quoted = json.dumps(text, ensure_ascii=False)
    return _YAML_LINE_BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
