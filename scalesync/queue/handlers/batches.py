"""Batches: created, and finalized."""

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
    """`POST /batches`: a second one of the same name gets 409 (documented)."""

    stream = "batches"

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Create the batch."""
        return api.create_batch(payload)

    def proves(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the batch of our name, and of no other project."""
        payload, fields = payload_of(command), fields_of(answer)
        named = (fields.get("name"), fields.get("project", payload["project"]))
        return named == (payload["name"], payload["project"])

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Find the batch of our name; ours is one in our project."""
        payload = payload_of(command)
        try:
            document = api.batch(payload["name"])
        except ScaleResourceNotFound:
            return Absent()
        if fields_of(document).get("project") == payload["project"]:
            return Present(document)
        return Conflict("A batch of another project has this name.")


class FinalizeBatch(CommandHandler):
    """`POST /batches/{name}/finalize`: a second one gets 400, or 200 without effect (official client)."""

    stream = "batches"

    def send(self, api: ScaleApi, payload: Payload) -> Document | None:
        """Finalize the batch."""
        return api.finalize_batch(payload["name"])

    def proves(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is our batch, and does not say that it is still in `staging`."""
        fields = fields_of(answer)
        return fields.get("name") == payload_of(command)["name"] and fields.get("status") != "staging"

    def look_up(self, api: ScaleApi, command: Command) -> LookUp:
        """Look at the batch: it has left `staging`."""
        document = api.batch(payload_of(command)["name"])
        return Absent() if fields_of(document).get("status") == "staging" else Present(document)
