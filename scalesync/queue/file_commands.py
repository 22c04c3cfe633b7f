"""Build commands that put files at Scale: check them, and choose a reference_id where none is given."""

import os
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypedDict

from scalesync.errors import QueueError
from scalesync.models.commands import CommandKind, NewCommand
from scalesync.queue.new_commands import canonical, generated_name, require_name

MAX_BYTES = 80 << 20
"""Of a file that is uploaded (documented: 80 MB)."""
_HASH_PERSON = b"scalesync.file"


class FileOptions(TypedDict, total=False):
    """Fields of a new file, of which any may be left out (documented)."""

    reference_id: str | None
    """Unique in the account, so that the file is not made twice; left out: made from its name and content."""
    project_name: str | None
    """The project that it is for."""
    display_name: str | None
    """Its name for people."""
    metadata: Mapping[str, Any] | None


def import_file(file_url: str, **fields: Any) -> NewCommand:
    """Return the command that has Scale fetch a file; `fields` are those of `POST /files/import`.

    Raises QueueError for what is no URL.
    """
    scheme, _, place = file_url.partition("://") if isinstance(file_url, str) else ("", "", "")
    if not place or scheme.lower() == "file" or any(mark.isspace() for mark in file_url):
        raise QueueError(f"{file_url!r} is not a URL.", advice="Give the address that Scale fetches it from.")
    return _file_command(CommandKind.IMPORT_FILE, {}, {"file_url": file_url, **fields})


def upload_file(path: str | os.PathLike[str], **fields: Any) -> NewCommand:
    """Return the command that uploads a file of this machine; `fields` are those of `POST /files/upload`.

    Only its path and its digest are queued: it is read again when it is sent, and must be the same then.
    Raises QueueError for a file that cannot be read, is empty or is larger than 80 MB.
    """
    absolute = Path(path).absolute()
    size, digest = described(absolute)
    if size > MAX_BYTES:
        raise QueueError(
            f"{absolute} has {size:,} bytes, and Scale takes at most {MAX_BYTES:,}.",
            advice="Import it from a URL instead.",
        )
    content = {"name": absolute.name, "size": size, "sha256": digest}
    return _file_command(CommandKind.UPLOAD_FILE, content, fields, path=str(absolute))


def described(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file. Raises QueueError for one that cannot be sent."""
    try:
        # A pipe would block, and give its bytes only once.
        if not stat.S_ISREG(path.stat().st_mode):
            raise QueueError(f"{path} is not a regular file.")
        digest, size = sha256(), 0
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise QueueError(f"{path} cannot be read: {reason}.") from error
    if not size:
        raise QueueError(f"{path} is empty.")
    return size, digest.hexdigest()


def _file_command(
    kind: CommandKind, content: Mapping[str, Any], fields: Mapping[str, Any], **place: str
) -> NewCommand:
    """Return the command of a file; its payload is `content`, `place` and the `body` of the request."""
    body = {name: value for name, value in fields.items() if value is not None}
    for name in ("reference_id", "project_name"):
        if name in body:
            require_name(name, body[name])
    # A reference_id is what makes a second send harmless: the API answers it with 409 (documented).
    if "reference_id" not in body:
        body["reference_id"] = generated_name([kind, content, body], _HASH_PERSON)
    project, resource = body.get("project_name"), f"file:{body['reference_id']}"
    return NewCommand(
        kind=kind,
        payload=canonical({**content, **place, "body": body}),
        resource=resource,
        depends_on=f"project:{project}" if project else None,
        idempotency_key=resource,
    )
