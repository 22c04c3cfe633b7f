"""The body of a request that uploads a file: form fields and the file's bytes, read while it is sent."""

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from urllib3.fields import RequestField

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileForm:
    """A form of multipart/form-data with text fields and one file, in the field `file` (official client)."""

    path: str
    name: str
    """The file's name for the API."""
    size: int
    digest: str
    """SHA-256 of the bytes that are to be sent, in hex; no others are."""
    fields: Mapping[str, str]
    boundary: str = field(default_factory=lambda: uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that describe the body."""
        length = len(self._head) + self.size + len(self._tail)
        return {
            "Content-Type": f"multipart/form-data; boundary={self.boundary}",
            "Content-Length": str(length),
        }

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces. Raises OSError before the end if the file is not what was promised."""
        yield self._head
        left, read = self.size, sha256()
        with Path(self.path).open("rb") as file:
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                read.update(piece)
                # The last piece goes out only if all of them are right: without it, the API takes nothing.
                if left or read.hexdigest() == self.digest:
                    yield piece
        if left or read.hexdigest() != self.digest:
            raise OSError(errno.EIO, "the file changed while it was sent")
        yield self._tail

    @property
    def _head(self) -> bytes:
        parts = [RequestField(name, value) for name, value in self.fields.items()]
        for part in parts:
            part.make_multipart()
        file = RequestField("file", b"", filename=self.name)
        file.make_multipart()
        texts = [f"--{self.boundary}\r\n{part.render_headers()}{part.data!s}\r\n" for part in parts]
        return "".join([*texts, f"--{self.boundary}\r\n{file.render_headers()}"]).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
