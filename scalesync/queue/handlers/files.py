"""Handlers for files: import from a URL, and upload from this machine.

Hazard: the API has no way to ask for a file. A second file with the same reference_id gets 409 (documented),
so another send is the look-up: it makes the file, or shows that it is there. Then its attachment_url, which
only the lost answer had, stays unknown.
"""

import json
from pathlib import Path
from typing import Any, ClassVar

from scalesync.api.client import ScaleApi
from scalesync.api.file_form import FileForm
from scalesync.errors import QueueError, ScaleInvalidRequest
from scalesync.models.api import Document
from scalesync.models.commands import Command
from scalesync.queue.file_commands import described
from scalesync.queue.handlers import interface

_THERE = (
    "Scale has a file with this reference_id: most likely this one, but its attachment_url cannot be asked"
    " for. Discard this command and, with it, the tasks that need the file; then queue both again under"
    " another reference_id, before a finalize of their batch is sent."
)
_UNKNOWN = (
    "Whether the file is at Scale cannot be asked. Retry this command to send it again, which shows that, or"
    " discard it."
)


class CreateFile(interface.CommandHandler):
    """A file by its reference_id."""

    stream = None
    result_fields = ("id", "attachment_url")
    unseen: ClassVar = interface.Unseen(_UNKNOWN, taken=_THERE)

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is a file with an address, and has the reference_id and the size."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        expected = {"reference_id": payload["body"]["reference_id"], "size": payload.get("size")}
        # The API may leave these out (not documented); another value is the answer to another request.
        alike = all(
            fields.get(name) in (None, value) for name, value in expected.items() if value is not None
        )
        return alike and self.result(answer) is not None

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:  # noqa: ARG002 - nothing to ask
        """Return that it cannot be seen."""
        return self.unseen


class ImportFile(CreateFile):
    """`POST /files/import`: have Scale fetch a file."""

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the URL."""
        return api.create("files/import", payload=payload["body"])


class UploadFile(CreateFile):
    """`POST /files/upload`: send a file of this machine."""

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the file's bytes, if they are still those that were queued."""
        texts = {name: _text(value) for name, value in payload["body"].items()}
        form = FileForm(payload["path"], payload["name"], payload["size"], payload["sha256"], texts)
        return api.create("files/upload", payload=form)

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:  # noqa: ARG002 - nothing to ask
        """Compare the file with what was queued. Raises ScaleInvalidRequest if it is missing or changed."""
        payload = interface.payload_of(command)
        try:
            found = described(Path(payload["path"]))
        except QueueError as error:
            raise ScaleInvalidRequest(f"{error.message} {_PUT_BACK}") from error
        if found != (payload["size"], payload["sha256"]):
            raise ScaleInvalidRequest(f"{payload['path']} is not the file that was queued. {_PUT_BACK}")
        return interface.Prepared()


_PUT_BACK = "Nothing was sent: put the file back as it was, and retry this command, or discard it."


def _text(value: Any) -> str:
    """Return the value of a form's field: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
