"""Handlers for changes of a task that exists: tags, metadata, unique_id, and audits.

Hazard: the API applies each of them again if it arrives again. After a request without an answer nothing is
sent before the settle time is over, so that a late first request cannot undo what came after the second.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from scalesync.api.client import ScaleApi
from scalesync.errors import ScaleNoAnswer, ScaleResourceNotFound
from scalesync.models.api import Document, TaskFilter
from scalesync.models.commands import Command
from scalesync.payload_comparison import same
from scalesync.queue.handlers import interface

Fields = Mapping[str, Any]
"""A task as the API answered it."""

_NO_AUDITS, _NO_AUDITS_SAME_REVIEW = -1, -2
"""`base` of an audit if the task had no list of audits: with another review before it, or with the same."""


def find_by_unique_id(api: ScaleApi, unique_id: str) -> tuple[Document, dict[str, Any]] | None:
    """Return the task of a unique_id, None if there is none. Raises ScaleNoAnswer for a wrong answer."""
    # Other tasks than asked for are no proof of absence: the filter was ignored or answers were mixed up.
    page = api.tasks(TaskFilter(unique_id=(unique_id,)), limit=2)
    for raw in page.docs:
        document = Document(raw, page.served_at, page.replaced)
        fields = interface.fields_of(document)
        if fields.get("unique_id") == unique_id:
            return document, fields
    if page.docs:
        raise ScaleNoAnswer("The API listed tasks of another unique_id than it was asked for.")
    return None


def lost_its_name(command: Command) -> interface.LookUp:
    """Return what it means that no task has the unique_id that the command clears: Present, or Absent."""
    known = interface.payload_of(command).get("task_id")
    maybe_sent = command.sends or command.ambiguous
    return interface.Present(None) if maybe_sent and not known else interface.Absent()


class TaskChange(interface.CommandHandler):
    """A change of one task, given by its id or its unique_id."""

    stream: ClassVar[str | None] = "tasks"
    resend_before_settle = False

    @abstractmethod
    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether a task shows the change."""

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the command's task, changed."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        return fields.get("task_id") == payload["task_id"] and self.is_applied(payload, fields)

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Read the task."""
        document, fields = self.read_task(api, command)
        if self.is_applied(interface.payload_of(command), fields):
            return interface.Present(document)
        return interface.Absent()

    def read_task(self, api: ScaleApi, command: Command) -> tuple[Document, dict[str, Any]]:
        """Return the command's task. Raises ScaleResourceNotFound if there is none."""
        # By the id it was armed with, if any: another task may have the unique_id by now.
        payload = interface.payload_of(command)
        if payload.get("task_id"):
            document = api.task(payload["task_id"])
            return document, interface.fields_of(document)
        found = find_by_unique_id(api, payload["unique_id"])
        if found is None or not isinstance(found[1].get("task_id"), str):
            raise ScaleResourceNotFound("There is no task with this unique_id.")
        return found

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:
        """Find the task's id, and whether there is nothing to change. Raises ScaleResourceNotFound."""
        # Read even if the id is known: after a look-up that was behind, this may show an earlier request.
        document, fields = self.read_task(api, command)
        payload = interface.payload_of(command)
        applied = document if self.is_applied(payload, fields) else None
        target = None if payload.get("task_id") else fields["task_id"]
        return interface.Prepared(target=target, no_op=applied)


class ChangeTags(TaskChange):
    """`POST`, `PUT` or `DELETE /task/{id}/tags`: replace, add or remove tags (documented)."""

    method: ClassVar[str]

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the tags."""
        return api.change_task(payload["task_id"], "tags", payload["tags"], method=self.method)


class SetTags(ChangeTags):
    """Replace all tags; their order does not matter."""

    method = "POST"

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task has these tags and no others."""
        return set(payload["tags"]) == _tags(fields)


class AddTags(ChangeTags):
    """Add tags to those that are there."""

    method = "PUT"

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task has all of these tags."""
        return set(payload["tags"]) <= _tags(fields)


class DeleteTags(ChangeTags):
    """Remove tags; those that are not there are ignored."""

    method = "DELETE"

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task has none of these tags."""
        return _tags(fields).isdisjoint(payload["tags"])


class SetMetadata(TaskChange):
    """`POST /task/{id}/setMetadata`: replace the whole object (documented)."""

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the metadata."""
        return api.change_task(payload["task_id"], "setMetadata", payload["metadata"])

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task has this metadata."""
        return same(payload["metadata"], fields.get("metadata") or {})


class UpdateUniqueId(TaskChange):
    """`POST /task/{id}/unique_id`: give the task another unique_id; 409 if a task has it (documented)."""

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the new unique_id."""
        return api.change_task(payload["task_id"], "unique_id", {"unique_id": payload["new_unique_id"]})

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task has the new unique_id."""
        return bool(fields.get("unique_id") == payload["new_unique_id"])

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Read the task; if another one has the new unique_id, it can never be applied."""
        document, fields = self.read_task(api, command)
        payload = interface.payload_of(command)
        if self.is_applied(payload, fields):
            return interface.Present(document)
        holder = find_by_unique_id(api, payload["new_unique_id"])
        if holder is None:
            return interface.Absent()
        # The list may show what the read of the task did not show yet.
        if holder[1].get("task_id") == fields.get("task_id"):
            return interface.Present(holder[0])
        return interface.Conflict(f"Task {holder[1].get('task_id')} has this unique_id.")

    def frees_key(self, payload: interface.Payload) -> bool:
        """Return whether the unique_id that the task had before is free now."""
        return bool(payload.get("unique_id") and payload["unique_id"] != payload["new_unique_id"])


class ClearUniqueId(TaskChange):
    """`DELETE /task/{id}/unique_id`: take the task's unique_id away."""

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Clear the unique_id."""
        return api.change_task(payload["task_id"], "unique_id", method="DELETE")

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task has no unique_id, or another one than the command names."""
        current = fields.get("unique_id")
        return not current or payload.get("unique_id") not in (None, current)

    def missing(self, command: Command) -> interface.LookUp:
        """Return Present if the task was known by the unique_id alone and may have lost it, else Absent."""
        return lost_its_name(command)

    def frees_key(self, payload: interface.Payload) -> bool:  # noqa: ARG002 - as the interface
        """Return True: the unique_id is free for another task."""
        return True


class AuditTask(TaskChange):
    """`POST /task/{id}/audit`: accept or reject a completed task; each one is added to `audits`.

    Not idempotent. `base` is the number of audits before the first send. A task without a list of audits
    shows its last review only: if that was the same before, nobody can see whether the audit was applied.
    """

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Send the audit."""
        given = {"accepted": payload["accepted"], "comments": payload.get("comments")}
        body = {name: value for name, value in given.items() if value is not None}
        return api.change_task(payload["task_id"], "audit", body)

    def is_applied(self, payload: interface.Payload, fields: Fields) -> bool:
        """Return whether the task's last review is this one."""
        comments = fields.get("customer_review_comments") or None
        alike = payload.get("comments") in (None, comments)
        return bool(fields.get("customer_review_status") == _result(payload) and alike)

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the command's task with an audit after `base`."""
        fields = interface.fields_of(answer)
        named = fields.get("task_id") == interface.payload_of(command)["task_id"]
        return named and isinstance(self._found(command, answer, fields), interface.Present)

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:
        """Find the task's id, and note its audits before the first send."""
        document, fields = self.read_task(api, command)
        audits, payload = _audits(fields), interface.payload_of(command)
        if command.base is not None and isinstance(self._found(command, document, fields), interface.Present):
            return interface.Prepared(no_op=document)
        if audits is not None:
            base = len(audits)
        else:
            base = _NO_AUDITS_SAME_REVIEW if self.is_applied(payload, fields) else _NO_AUDITS
        return interface.Prepared(base=base, target=None if payload.get("task_id") else fields["task_id"])

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Find an audit after `base` with the command's result and comments."""
        document, fields = self.read_task(api, command)
        return self._found(command, document, fields)

    def _found(self, command: Command, document: Document, fields: Fields) -> interface.LookUp:
        payload, audits, base = interface.payload_of(command), _audits(fields), command.base
        if audits is None:
            if not self.is_applied(payload, fields):
                return interface.Absent()
            if base == _NO_AUDITS:
                return interface.Present(document)
            return interface.Foreign(
                "The task had this review before, and Scale shows no list of audits: whether this one was"
                " recorded too cannot be seen. Discard this command, or queue it again if it is missing."
            )
        # Without a base, as after `queue distrust`, any equal audit may be ours.
        added = audits[: len(audits) - max(0, base or 0)]
        ours = [audit for audit in added if _is_ours(payload, audit)]
        return interface.Present(document) if ours else interface.Absent()


def _result(payload: interface.Payload) -> str:
    return "accepted" if payload["accepted"] else "rejected"


def _is_ours(payload: interface.Payload, audit: Fields) -> bool:
    by_customer = audit.get("audit_source") in (None, "customer")
    comments = audit.get("comments") or None
    return by_customer and (audit.get("audit_result"), comments) == (
        _result(payload),
        payload.get("comments") or None,
    )


def _audits(fields: Fields) -> list[dict[str, Any]] | None:
    """Return the task's audits, newest first; None if it shows none.

    Raises ScaleNoAnswer if they are malformed.
    """
    audits = fields.get("audits")
    if audits is None:
        return None
    if not isinstance(audits, list) or not all(isinstance(audit, dict) for audit in audits):
        raise ScaleNoAnswer("The API's answer has audits that cannot be read.")
    # Newest first is what Scale documents. Sorted all the same, as far as the times allow: an audit taken
    # for an older one would be sent a second time.
    return sorted(audits, key=lambda audit: str(audit.get("audited_at") or ""), reverse=True)


def _tags(fields: Fields) -> set[str]:
    """Return the task's tags. Raises ScaleNoAnswer if they are malformed."""
    tags = fields.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ScaleNoAnswer("The API's answer has tags that cannot be read.")
    return set(tags)
