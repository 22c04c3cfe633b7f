"""Draw tasks of 2019, and the fields that a task has for its status: response, review or error."""

import random

from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.task_responses import respond
from scalesync.sandbox.templates import fill
from scalesync.sandbox.timestamps import format_millis

_REVIEWERS = ("ada@customer.example", "bo@customer.example", "chi@customer.example")
_MARCH_2019 = 1_552_193_712_058


def old_task(number: int, rng: random.Random) -> Doc:
    """Return a task of 2019, without updated_at, project and batch (recorded)."""
    created = _MARCH_2019 + number * 61_000
    task_type = rng.choice(("annotation", "segmentannotation", "categorization", "pointannotation"))
    names = {
        "type": task_type,
        "task_id": f"{created // 1000:08x}{rng.getrandbits(64):016x}",
        "created_at": format_millis(created),
        "completed_at": format_millis(created + 53),
    }
    doc: Doc = fill("task/of_2019", rng, names)
    response = respond(task_type, doc["params"], rng)
    return doc if response is None else {**doc, "response": response}


def finish(doc: Doc, rng: random.Random, *, created: int, end: int) -> None:
    """Add the fields of a task's status, with times between `created` and `end` in milliseconds."""
    _FINISHERS[doc["status"]](doc, rng, created, end)


def _pending(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    if rng.random() < 0.15:
        doc["work_started"] = True
    if rng.random() < 0.05:
        doc["completed_at"] = None
    if rng.random() < 0.06:
        doc["prior_responses"] = [respond(doc["type"], doc["params"], rng)]
        doc["updated_at"] = _between(rng, created, end)


def _canceled(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    doc["updated_at"] = _between(rng, created, end)


def _error(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    doc["updated_at"] = doc["completed_at"] = _between(rng, created, end)
    doc["response"] = {"error": "One or more attachments could not be downloaded.", "error_code": 404}


def _completed(doc: Doc, rng: random.Random, created: int, end: int) -> None:
    # Cubed: most tasks are completed soon, a few months later.
    completed = created + int(rng.random() ** 3 * (end - created))
    doc["updated_at"] = doc["completed_at"] = format_millis(completed)
    if rng.random() < 0.005:
        # Some real times have no milliseconds.
        doc["completed_at"] = doc["completed_at"][:19] + "Z"
    response = respond(doc["type"], doc["params"], rng)
    if response is not None and rng.random() > 0.01:
        doc["response"] = response
    if rng.random() < 0.3:
        _review(doc, rng, completed, end)


def _review(doc: Doc, rng: random.Random, completed: int, end: int) -> None:
    verdict = rng.choice(("accepted", "accepted", "fixed", "commented", "rejected", "pending"))
    doc["customer_review_status"] = verdict
    doc["customer_review_comments"] = None if verdict == "accepted" else "Bitte enger zeichnen — 请修改"
    if verdict == "pending":
        return
    doc["updated_at"] = _between(rng, completed, end)
    # By the id and not by `rng`, whose later numbers every other document is drawn from.
    number = int(doc["task_id"], 16)
    audit = {"audited_by": _REVIEWERS[number % len(_REVIEWERS)], "audited_at": doc["updated_at"]}
    audit |= {"audit_time_secs": number % 9_000 / 10, "audit_result": verdict, "audit_source": "customer"}
    doc["audits"] = [audit]
    if verdict == "fixed":
        doc["prior_responses"] = [doc.get("response")]


def _between(rng: random.Random, first: int, last: int) -> str:
    return format_millis(first + int(rng.random() * (last - first)))


_FINISHERS = {"pending": _pending, "canceled": _canceled, "error": _error, "completed": _completed}
