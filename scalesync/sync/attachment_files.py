"""Keep attachments as files of a directory.

Hazard: addresses and files come from other people. No part of an address becomes part of a path but a suffix
of a few letters and digits.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import mkstemp

from scalesync.api.download_answers import Answer
from scalesync.api.downloads import Downloads
from scalesync.db.mirror.attachments import AttachmentRow
from scalesync.errors import ConfigurationError
from scalesync.parsing.picture_sizes import HEAD, picture_format
from scalesync.sync.attachment_sizes import WantedAttachment, media_type

_UNFINISHED = ".unfinished"
"""The directory of the files that are being received."""
_SUFFIXES = {
    "application/json": "json", "application/pdf": "pdf", "audio/flac": "flac", "audio/mpeg": "mp3",
    "audio/ogg": "ogg", "audio/wav": "wav", "audio/x-wav": "wav", "text/csv": "csv", "video/mp4": "mp4",
    "video/quicktime": "mov", "video/webm": "webm",
}  # fmt: skip
"""Suffixes of files that are no pictures, by what their server calls them."""


@dataclass(frozen=True)
class AttachmentDirectory:
    """The directory of kept files; each appears whole, under a name made of its address."""

    path: Path

    def prepare(self) -> None:
        """Create it, and remove what killed processes left. Raises ConfigurationError if it cannot be."""
        if str(self.path).encode(errors="replace").decode() != str(self.path):
            raise ConfigurationError("The directory's name is no text.", advice="Name another one with --to.")
        with self._writing():
            unfinished = self.path / _UNFINISHED
            unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in unfinished.iterdir():
                with suppress(OSError), left.open("rb") as file:
                    # Of a process that is alive they are locked.
                    if _lock(file.fileno()):
                        left.unlink()

    def kept(self, row: AttachmentRow) -> Path | None:
        """Return the file of an attachment if it is here and whole, also if the directory was moved."""
        if row.path is None or row.bytes is None:
            return None
        path = self.path.joinpath(*Path(row.path).parts[-2:])
        with suppress(OSError):
            if path.is_file() and path.stat().st_size == row.bytes:
                return path
        return None

    def keep(self, downloads: Downloads, wanted: WantedAttachment) -> AttachmentRow:
        """Fetch a file, read its size, and keep it if it is as it should be; raises as `read_sizes` does."""
        with self._writing():
            handle, name = self._new_file()
            try:
                received = downloads.read(wanted.link, partial(self._receive, downloads, handle))
                row = wanted.row(partial(_read_at, handle), *received)
                final = self._place(wanted, os.pread(handle, HEAD, 0), row.content_type or "")
                final.parent.mkdir(mode=0o700, exist_ok=True)
                Path(name).replace(final)
            finally:
                os.close(handle)
                Path(name).unlink(missing_ok=True)
        return replace(row, path=str(final))

    def _new_file(self) -> tuple[int, str]:
        """Return an open file for what is being received, and its path; it is locked. Raises OSError."""
        while True:
            handle, name = mkstemp(dir=self.path / _UNFINISHED)
            # Between the two steps another process may take it for one that was left.
            if _lock(handle) and os.fstat(handle).st_nlink:
                return handle, name
            os.close(handle)

    def _place(self, wanted: WantedAttachment, head: bytes, content_type: str) -> Path:
        suffix = picture_format(head) or _SUFFIXES.get(content_type) or wanted.suffix or "bin"
        name = sha256(wanted.url.encode(errors="surrogatepass")).hexdigest()[:40]
        return self.path / name[:2] / f"{name}.{suffix}"

    def _receive(self, downloads: Downloads, handle: int, answer: Answer) -> tuple[int, str]:
        """Write the body of an answer to a file; return its size and what the server calls it."""
        downloads.check_size(answer.size or 0)
        with self._writing():
            os.ftruncate(handle, 0)
        size = 0
        for piece in answer.pieces:
            with self._writing():
                size += _write_at(handle, piece, size)
        return size, media_type(answer.content_type)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Convert errors of the file system, which would be taken for those of the network."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise ConfigurationError(
                f"Cannot write into {self.path}: {reason}.", advice="Name another directory with --to."
            ) from error


def _read_at(handle: int, offset: int, size: int) -> bytes:
    return os.pread(handle, size, offset)


def _write_at(handle: int, content: bytes, offset: int) -> int:
    """Write all of `content` and return its size. Raises OSError."""
    written = 0
    while written < len(content):
        written += os.pwrite(handle, content[written:], offset + written)
    return written


def _lock(handle: int) -> bool:
    """Lock an open file; return whether no other process has."""
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
