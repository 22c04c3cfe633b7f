"""Handlers for batches: create and finalize."""

from scalesync.api.client import ScaleApi
from scalesync.errors import ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.models.commands import Command
from scalesync.queue.handlers.interface import (
    Absent,
    CommandHandler,
    Conflict,
    LookUp,
    Payload,
    Present,
    fields_of,
    payload_of,
)


class CreateBatch(CommandHandler):
    """`POST /batches`; a second batch of the same name gets 409 (documented)."""

    stream = "batches"

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Create the batch."""
        return api.create_batch(payload)

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the batch with the command's name and project."""
        payload, fields = payload_of(command), fields_of(answer)
        named = (fields.get("name"), fields.get("project", payload["project"]))
        return named == (payload["name"], payload["project"])

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Find the batch by name; it is the command's if its project is the same."""
        payload = payload_of(command)
        try:
            document = api.batch(payload["name"])
        except ScaleResourceNotFound:
            return Absent()
        if fields_of(document).get("project") == payload["project"]:
            return Present(document)
        return Conflict("A batch of another project has this name.")


class FinalizeBatch(CommandHandler):
    """`POST /batches/{name}/finalize`; a second one gets 400, or 200 without effect (official client)."""

    stream = "batches"

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Finalize the batch."""
        return api.finalize_batch(payload["name"])

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the command's batch, and not in `staging` any more."""
        fields = fields_of(answer)
        return fields.get("name") == payload_of(command)["name"] and fields.get("status") != "staging"

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Read the batch; once finalized it is not in `staging` any more."""
        document = api.batch(payload_of(command)["name"])
        return Absent() if fields_of(document).get("status") == "staging" else Present(document)
