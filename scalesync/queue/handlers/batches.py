"""Handlers for batches: create, finalize, set metadata."""

from scalesync.api.client import ScaleApi
from scalesync.errors import ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.models.commands import Command
from scalesync.payload_comparison import same
from scalesync.queue.handlers import interface


class CreateBatch(interface.CommandHandler):
    """`POST /batches`; a second batch of the same name gets 409 (documented)."""

    stream = "batches"

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Create the batch."""
        return api.create_batch(payload)

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the batch with the command's name and project."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        named = (fields.get("name"), fields.get("project", payload["project"]))
        return named == (payload["name"], payload["project"])

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Find the batch by name; it is the command's if its project is the same."""
        payload = interface.payload_of(command)
        try:
            document = api.batch(payload["name"])
        except ScaleResourceNotFound:
            return interface.Absent()
        if interface.fields_of(document).get("project") == payload["project"]:
            return interface.Present(document)
        return interface.Conflict("A batch of another project has this name.")


class FinalizeBatch(interface.CommandHandler):
    """`POST /batches/{name}/finalize`; a second one gets 400, or 200 without effect (official client)."""

    stream = "batches"

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Finalize the batch."""
        return api.finalize_batch(payload["name"])

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the command's batch, and not in `staging` any more."""
        fields, name = interface.fields_of(answer), interface.payload_of(command)["name"]
        return fields.get("name") == name and fields.get("status") != "staging"

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Read the batch; once finalized it is not in `staging` any more."""
        document = api.batch(interface.payload_of(command)["name"])
        staging = interface.fields_of(document).get("status") == "staging"
        return interface.Absent() if staging else interface.Present(document)


class SetBatchMetadata(interface.CommandHandler):
    """`POST /batches/{name}/setMetadata`: replace the whole object (documented)."""

    stream = "batches"
    resend_before_settle = False

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the metadata."""
        return api.set_batch_metadata(payload["name"], payload["metadata"])

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the command's batch with its metadata."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        return fields.get("name") == payload["name"] and same(
            payload["metadata"], fields.get("metadata") or {}
        )

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:
        """Find out whether there is nothing to change."""
        document = api.batch(interface.payload_of(command)["name"])
        return interface.Prepared(no_op=document if self.confirms(command, document) else None)

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Read the batch."""
        document = api.batch(interface.payload_of(command)["name"])
        return interface.Present(document) if self.confirms(command, document) else interface.Absent()
