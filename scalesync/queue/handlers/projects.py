"""Handlers for projects: create and update params.

Hazard: an update is not idempotent. Every `setParams` appends a version, so whether one was applied is found
out from `param_history`.
"""

from itertools import pairwise
from operator import itemgetter
from typing import Any

from scalesync.api.client import ScaleApi
from scalesync.errors import ScaleNoAnswer, ScaleResourceNotFound
from scalesync.models.api import Document
from scalesync.models.commands import Command
from scalesync.payload_comparison import same
from scalesync.queue.handlers import interface

Version = tuple[int, dict[str, Any]]
"""An entry of `param_history`: its number and its params."""
_STAMPS = ("version", "created_at")
_NO_VERSION: Version = (-1, {})
"""The state before the first version."""
_DISCARD = "Discard this command, and queue it again if it is still wanted."


class CreateProject(interface.CommandHandler):
    """`POST /projects`; a second project of the same name gets 409 (documented)."""

    stream = "projects"

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Create the project."""
        return api.create_project(payload)

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the project with the command's name and type."""
        payload, fields = interface.payload_of(command), interface.fields_of(answer)
        return (fields.get("name"), fields.get("type")) == (payload["name"], payload["type"])

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Find the project by name; it is the command's if type and first params are the same."""
        payload = interface.payload_of(command)
        try:
            document = api.project(payload["name"])
        except ScaleResourceNotFound:
            return interface.Absent()
        if interface.fields_of(document).get("type") != payload["type"]:
            return interface.Conflict("A project of another type has this name.")
        _, first = next(iter(_versions(document)), _NO_VERSION)
        if not same(payload["params"], first):
            return interface.Conflict("A project of this name began with other params.")
        return interface.Present(document)


class UpdateProject(interface.CommandHandler):
    """`POST /projects/{name}/setParams`; each one appends a version, even with equal params."""

    stream = "projects"
    resend_before_settle = False

    def send(self, api: ScaleApi, payload: interface.Payload) -> Document | None:
        """Append the version."""
        return api.update_project(payload["name"], payload["params"], patch=payload.get("patch"))

    def confirms(self, command: Command, answer: Document) -> bool:
        """Return whether the answer is the project, with a version after `base` that has our params."""
        named = interface.fields_of(answer).get("name") == interface.payload_of(command)["name"]
        return named and isinstance(_find_version(command, answer), interface.Present)

    def prepare(self, api: ScaleApi, command: Command) -> interface.Prepared:
        """Return the project's last version, and the project if an update would change nothing."""
        payload = interface.payload_of(command)
        document = api.project(payload["name"])
        number, params = [_NO_VERSION, *_versions(document)][-1]
        no_op = number >= 0 and same(_params_after(params, payload), params)
        return interface.Prepared(base=number, no_op=document if no_op else None)

    def look_up(self, api: ScaleApi, command: Command) -> interface.LookUp:
        """Find a version after `base` with the command's params; for a patch merged into the one before."""
        return _find_version(command, api.project(interface.payload_of(command)["name"]))


def _find_version(command: Command, document: Document) -> interface.LookUp:
    """Return whether a project's history shows the update."""
    # Compare every version after `base` with what the update makes of the one before it. `base` was stored
    # when the command was armed first, so an equal version before it was made by somebody else.
    payload = interface.payload_of(command)
    versions = [_NO_VERSION, *_versions(document)]
    base = -1 if command.base is None else command.base
    ours = [
        number
        for (_, before), (number, params) in pairwise(versions)
        if number > base and same(_params_after(before, payload), params)
    ]
    last, _ = versions[-1]
    if command.base is None:
        return _without_base(document, ours, last)
    if ours:
        return interface.Present(document)
    if last > base:
        return interface.Foreign(f"Version {last} was made by somebody else after version {base}. {_DISCARD}")
    return interface.Absent()


def _without_base(document: Document, ours: list[int], last: int) -> interface.LookUp:
    # No base, as after `queue distrust`: any equal version may be ours, but only if it is the last one is
    # there nothing left to do.
    if not ours:
        return interface.Absent()
    if ours[-1] == last:
        return interface.Present(document)
    return interface.Foreign(f"Version {ours[-1]} says the same, and later ones do not. {_DISCARD}")


def _versions(document: Document) -> list[Version]:
    """Return the versions of a project, oldest first. Raises ScaleNoAnswer if the history is malformed."""
    history = interface.fields_of(document).get("param_history") or []
    versions: list[Version] = []
    for entry in history if isinstance(history, list) else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("version"), int):
            raise ScaleNoAnswer("The API's answer has a history of params that cannot be read.")
        params = {name: value for name, value in entry.items() if name not in _STAMPS}
        versions.append((entry["version"], params))
    return sorted(versions, key=itemgetter(0))


def _params_after(before: dict[str, Any], payload: interface.Payload) -> dict[str, Any]:
    """Return the params after the update of a version with the params `before`."""
    params: dict[str, Any] = payload["params"]
    return {**before, **params} if payload.get("patch") else params
