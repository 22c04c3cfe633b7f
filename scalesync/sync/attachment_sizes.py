"""Read the size of an attachment from the first bytes of its file, and no more of it than is needed.

Hazard: addresses and files come from other people.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from scalesync.api.download_answers import Answer
from scalesync.api.downloads import Downloads
from scalesync.db.mirror.attachments import AttachmentRow
from scalesync.errors import ScaleException
from scalesync.parsing.picture_sizes import HEAD, ReadAt, UnreadablePictureError, is_page, size_of

_FIRST_PART, _LARGEST_PART = 16 * 1024, 4 << 20
"""Bytes asked for at first, and at most at a time: each further part is four times as large as the last."""
_LARGEST_HEAD = 64 << 20
"""Bytes that are held in memory of a file whose size stands late in it."""
_TOO_LATE = "The picture's size is not found within the first part of its file."
_NO_PARTS = (400, 405, 416, 501)
"""Statuses of servers that refuse to be asked for a part of a file."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}(?=:)")
_SUFFIX = re.compile(r"\.([A-Za-z0-9]{1,8})$", re.ASCII)
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
_PICTURE_SUFFIXES = frozenset({
    "avif", "bmp", "dib", "gif", "heic", "heif", "jfif", "jp2", "jpe", "jpeg", "jpg", "pbm", "pgm", "png",
    "pnm", "ppm", "svg", "tif", "tiff", "webp",
})  # fmt: skip
_PAGE_SUFFIXES = ("html", "htm", "xhtml")


@dataclass(frozen=True, slots=True)
class WantedAttachment:
    """An attachment to be asked for."""

    url: str
    """Without its signature."""
    link: str
    """With its signature, if it has one."""
    is_picture: bool
    """Whether a task says that it is a picture."""

    @property
    def suffix(self) -> str:
        """The suffix of the address, in lower case; empty if it has none that is usual."""
        with suppress(ValueError):
            found = _SUFFIX.search(urlsplit(self.url).path)
            return found[1].lower() if found else ""
        return ""

    @property
    def host(self) -> str:
        """The host and port of the address; empty if it has none."""
        with suppress(ValueError):
            return urlsplit(self.link).netloc.rpartition("@")[2].lower()
        return ""

    def check_scheme(self) -> None:
        """Raise ScaleException unless the address is one of the web."""
        scheme = _SCHEME.match(self.link)
        if scheme is None:
            raise ScaleException("The attachment is no address that can be asked.")
        if scheme[0].lower() not in ("http", "https"):
            raise ScaleException(f"{scheme[0].lower()}: addresses are not asked, only http: and https: ones.")

    def row(self, read_at: ReadAt, length: int | None, content_type: str) -> AttachmentRow:
        """Return what is known of a file that can be read; `length` in bytes, None if it is not known.

        Raises UnreadablePictureError if the file is something else than it should be.
        """
        head = read_at(0, HEAD)
        if not head:
            raise UnreadablePictureError("The file is empty.")
        size = size_of(read_at, length)
        if size is None:
            self._check_other(head, content_type)
        width, height = size or (None, None)
        return AttachmentRow(self.url, width, height, length, content_type or None)

    def _check_other(self, head: bytes, content_type: str) -> None:
        """Raise UnreadablePictureError if a file that is no picture should be one, or is a web page."""
        if is_page(head) and self.suffix not in _PAGE_SUFFIXES:
            raise UnreadablePictureError("The server sent a page in place of the file.")
        if self.is_picture or content_type.startswith("image/") or self.suffix in _PICTURE_SUFFIXES:
            called = f" The server calls it {content_type}." if content_type else ""
            raise UnreadablePictureError(f"The file is no picture of a form that is known.{called}")


@dataclass
class _Part:
    start: int
    content: bytes


@dataclass
class _RemoteFile:
    """A file at a server, of which only the parts that are looked at are asked for."""

    downloads: Downloads
    wanted: WantedAttachment
    parts: list[_Part] = field(default_factory=list)
    length: int | None = None
    content_type: str = ""
    step: int = _FIRST_PART

    def row(self) -> AttachmentRow:
        """Return what is known of it then; raises ScaleException and UnreadablePictureError."""
        link, span = self.wanted.link, (0, self.step - 1)
        try:
            row = self.downloads.read(link, self._begin, span)
        except ScaleException as error:
            if error.code not in _NO_PARTS:
                raise
            row = None
        if row is None and not self.parts:
            # Or it is compressed for transport, so that a part says nothing: read on as far as is needed.
            row = self.downloads.read(link, self._begin)
        return row or self._row(self.read_at)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes of the file, asking for them if they are not here; fewer only at its end."""
        found = b""
        while len(found) < size and (self.length is None or offset + len(found) < self.length):
            piece = self._held(offset + len(found)) or self._load(offset + len(found), size - len(found))
            if not piece:
                break
            found += piece[: size - len(found)]
        return found

    def _held(self, offset: int) -> bytes:
        held = (part for part in self.parts if part.start <= offset < part.start + len(part.content))
        return next((part.content[offset - part.start :] for part in held), b"")

    def _load(self, offset: int, size: int) -> bytes:
        """Ask for another part and return it; raises UnreadablePictureError if it becomes too much."""
        self.step = min(self.step * 4, _LARGEST_PART)
        wanted = max(self.step, size)
        if sum(len(part.content) for part in self.parts) + wanted > _LARGEST_HEAD:
            raise UnreadablePictureError(_TOO_LATE)
        take = partial(self._content, offset, wanted)
        content = self.downloads.read(self.wanted.link, take, (offset, offset + wanted - 1))
        self.parts.append(_Part(offset, content))
        return content

    def _begin(self, answer: Answer) -> AttachmentRow | None:
        """Keep the first part; from a server that knows no parts read what is needed, and return the row."""
        self.length, self.content_type = answer.size, media_type(answer.content_type)
        if not answer.is_part:
            return self._row(_Stream(answer).read_at)
        if not answer.is_compressed:
            self.parts = [_Part(0, _taken(answer.pieces, self.step))]
        return None

    def _content(self, offset: int, size: int, answer: Answer) -> bytes:
        if answer.size != self.length or answer.is_compressed:
            raise ScaleException("The file changed while it was read.")
        return _taken(answer.pieces, offset - answer.start + size)[offset - answer.start :]

    def _row(self, read_at: ReadAt) -> AttachmentRow:
        return self.wanted.row(read_at, self.length, self.content_type)


@dataclass
class _Stream:
    """The body of an answer, read as far as it is looked at."""

    answer: Answer
    content: bytearray = field(default_factory=bytearray)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes of the body; fewer only at its end."""
        while len(self.content) < offset + size and (piece := next(self.answer.pieces, None)) is not None:
            self.content += piece
            if len(self.content) > _LARGEST_HEAD:
                raise UnreadablePictureError(_TOO_LATE)
        return bytes(self.content[offset : offset + size])


def read_sizes(downloads: Downloads, wanted: WantedAttachment) -> AttachmentRow:
    """Return what is known of an attachment by the first bytes of its file.

    Raises ScaleException if these cannot be had, UnreadablePictureError if they are not what they should be.
    """
    return _RemoteFile(downloads, wanted).row()


def media_type(content_type: str) -> str:
    """Return the type in a Content-Type, in lower case, without parameters; empty if it is none."""
    found = content_type.partition(";")[0].strip().lower()
    return found if _MEDIA_TYPE.fullmatch(found) else ""


def _taken(pieces: Iterable[bytes], size: int) -> bytes:
    """Return up to `size` bytes of a body, however many it has."""
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) >= size:
            break
    return bytes(content[:size])
