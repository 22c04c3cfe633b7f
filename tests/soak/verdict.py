"""What is to be true when all is quiet again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from scalesync.db.database import Database
from scalesync.db.mirror import query
from scalesync.db.mirror.documents import MAPPINGS
from tests.soak.api import KINDS
from tests.soak.submitter import PROJECTS, Submitter

SHOWN = 5
"""Names that a check shows of those that are wrong."""


@dataclass(frozen=True)
class Check:
    """One thing that is to be true."""

    name: str
    found: str
    ok: bool


def none_of(name: str, wrong: Iterable[object], among: int) -> Check:
    """Return the check that nothing is wrong, among so many that were looked at."""
    listed = list(wrong)
    told = f"{len(listed):,} of {among:,}"
    shown = f": {', '.join(map(str, listed[:SHOWN]))}" if listed else ""
    return Check(name, told + shown, not listed)


def people(directory: Path) -> str:
    """Return how much people changed, and how much of that was deleting."""
    told = json.loads((directory / "told.json").read_text())
    return f"{told['changes']:,}, {sum(map(len, told['removed'].values())):,}"


def check_documents(directory: Path, database: Database, *, noticed: bool) -> Iterator[Check]:
    """Compare every document here with the API's; `noticed`: what was deleted there is known to be gone."""
    removed = json.loads((directory / "told.json").read_text())["removed"]
    for kind in KINDS:
        there, here = _served(directory, kind), _mirrored(database, kind)
        gone = set() if noticed else set(removed[kind])
        yield none_of(f"{kind} lost", there.keys() - here.keys(), len(there))
        yield none_of(f"{kind} too many", here.keys() - there.keys() - gone, len(here))
        differing = (key for key in there.keys() & here.keys() if there[key] != here[key])
        yield none_of(f"{kind} that differ", differing, len(there))


def _served(directory: Path, kind: str) -> dict[str, bytes]:
    with (directory / f"{kind}.jsonl").open("rb") as lines:
        return dict(_digested(kind, (line for line in lines if line.strip())))


def _mirrored(database: Database, kind: str) -> dict[str, bytes]:
    with database.read() as conn:
        return dict(_digested(kind, query.documents(conn, MAPPINGS[kind])))


def _digested(kind: str, documents: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    key = MAPPINGS[kind].key
    for document in documents:
        fields = msgspec.json.decode(document)
        text = msgspec.json.encode(fields, order="deterministic")
        yield fields[key], blake2b(text, digest_size=16).digest()


def check_effects(directory: Path, submitter: Submitter, commands: list[dict[str, Any]]) -> Iterator[Check]:
    """Compare what happened at the API with what was submitted: each once, nothing else."""
    told = json.loads((directory / "told.json").read_text())["effects"]
    counts = {(kind, name, effect): number for kind, name, effect, number in told}
    canceled = {
        one["unique_id"] for one in commands if (one["kind"], one["state"]) == ("cancel_task", "delivered")
    }
    due = {("unique_id", one, "created"): 1 for one in submitter.tasks}
    due |= {("unique_id", one, "created"): 0 for one in submitter.withdrawn}
    due |= {("unique_id", one, "canceled"): one in canceled for one in submitter.canceled}
    due |= {("batch", one, effect): 1 for one in submitter.batches for effect in ("created", "finalized")}
    due |= {("project", one, "created"): 1 for one in PROJECTS}
    yield none_of("lost", (key for key, want in due.items() if counts.get(key, 0) < want), len(due))
    yield none_of("doubled", (key for key, want in due.items() if counts.get(key, 0) > want), len(due))
    yield from _check_versions(directory, submitter)


def _check_versions(directory: Path, submitter: Submitter) -> Iterator[Check]:
    with (directory / "projects.jsonl").open("rb") as lines:
        projects = [msgspec.json.decode(line) for line in lines]
    for project in projects:
        if project["name"] in submitter.versions:
            found = [version["instruction"] for version in project["param_history"]]
            due = ["first", *submitter.versions[project["name"]]]
            wrong = [f"{found} for {due}"] if found != due else []
            yield none_of(f"versions of {project['name']}", wrong, len(due))


def check_queue(commands: list[dict[str, Any]]) -> Iterator[Check]:
    """Fail for what is open or dead; a cancel of a task that annotators finished first is discarded."""
    done = {"delivered", "discarded"}
    late = [one for one in commands if (one["kind"], one["outcome"]) == ("cancel_task", "rejected")]
    wrong = [one for one in commands if one["state"] not in done]
    yield none_of("commands without an end", wrong, len(commands))
    yield Check("cancels that came too late", f"{len(late):,}", ok=True)
