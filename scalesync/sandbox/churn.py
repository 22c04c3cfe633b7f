"""Make random changes, as other people do between two reads of an account."""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from scalesync.sandbox import task_writes
from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.batches import create_batch, finalize_batch
from scalesync.sandbox.errors import TASK_NOT_FOUND, HttpError
from scalesync.sandbox.media import MEDIA
from scalesync.sandbox.projects import set_params

Change = Callable[[SandboxAccount, random.Random], object]
"""Makes one change; raises HttpError if there is nothing to change."""

_T = TypeVar("_T")


def churn(account: SandboxAccount, rng: random.Random, changes: int) -> int:
    """Make `changes` random changes, and return how many of them found something to change."""
    return sum(_attempt(rng.choice(_CHANGES), account, rng) for _ in range(changes))


def _attempt(change: Change, account: SandboxAccount, rng: random.Random) -> bool:
    # A refusal is normal: between the pick and the change a task may have no allowed change left.
    try:
        change(account, rng)
    except HttpError:
        return False
    return True


def annotate(account: SandboxAccount, rng: random.Random) -> None:
    """Complete a pending task, if there is one, and sometimes recall or fix another."""
    if rng.random() < 0.05:
        _attempt(rng.choice((_recall, _fix)), account, rng)
    _attempt(_complete, account, rng)


def _pick(account: SandboxAccount, rng: random.Random, status: str) -> str:
    """Return a random task of a status; raises HttpError 404 if 40 tries find none."""
    created = account.tasks.created
    # Tries at random: an index of each status would have to follow every change.
    for _ in range(min(40, len(created))):
        task_id = rng.choice(created)[1]
        if account.tasks[task_id].status == status:
            return task_id
    # Pending tasks run out, and are then hardly ever found at random: the oldest one is taken.
    if status == "pending" and account.tasks.pending:
        return next(iter(account.tasks.pending))
    raise HttpError(404, TASK_NOT_FOUND)


def _any(account: SandboxAccount, rng: random.Random) -> str:
    return _one_of(account.tasks.created, rng)[1]


def _one_of(items: Sequence[_T], rng: random.Random) -> _T:
    if not items:
        raise HttpError(404, "There is nothing to change.")
    return rng.choice(items)


def _create(account: SandboxAccount, rng: random.Random) -> None:
    open_batches = [batch for batch in account.batches.values() if batch["status"] != "completed"]
    body = {
        "instruction": "Draw a box around each car.",
        "attachment": f"{MEDIA}/pictures/{rng.getrandbits(40):010x}.png",
        "geometries": {"box": {"objects_to_annotate": ["car"]}},
        "metadata": {"by": "churn"},
    }
    if open_batches and rng.random() < 0.7:
        body["batch"] = rng.choice(open_batches)["name"]
    if rng.random() < 0.5:
        body["unique_id"] = f"churn-{rng.getrandbits(48):012x}"
    task_writes.create_task(account, "imageannotation", body)


def _complete(account: SandboxAccount, rng: random.Random) -> None:
    task_writes.complete_task(account, _pick(account, rng, "pending"))


def _recall(account: SandboxAccount, rng: random.Random) -> None:
    task_writes.recall_task(account, _pick(account, rng, "completed"))


def _fix(account: SandboxAccount, rng: random.Random) -> None:
    task_writes.fix_task(account, _pick(account, rng, "completed"))


def _audit(account: SandboxAccount, rng: random.Random) -> None:
    task_writes.audit_task(account, _pick(account, rng, "completed"), rng.random() < 0.7, "by churn")


def _cancel(account: SandboxAccount, rng: random.Random) -> None:
    task_id = _pick(account, rng, "pending")
    task_writes.cancel_task(account, task_id, clear_unique_id=rng.random() < 0.3)


def _metadata(account: SandboxAccount, rng: random.Random) -> None:
    task_writes.set_metadata(account, _any(account, rng), {"churn": rng.getrandbits(32)})


def _tags(account: SandboxAccount, rng: random.Random) -> None:
    task_id = _any(account, rng)
    task_writes.change_tags(account, task_id, rng.choice(("POST", "PUT", "DELETE")), ["churned"])


def _unique_id(account: SandboxAccount, rng: random.Random) -> None:
    task_id = _any(account, rng)
    new = f"renamed-{rng.getrandbits(48):012x}" if rng.random() < 0.7 else None
    task_writes.set_unique_id(account, task_id, new)


def _new_batch(account: SandboxAccount, rng: random.Random) -> None:
    name = f"churn {rng.getrandbits(40):010x}"
    create_batch(account, {"name": name, "project": _one_of(list(account.projects), rng)})


def _finalize(account: SandboxAccount, rng: random.Random) -> None:
    staging = [name for name, batch in account.batches.items() if batch["status"] == "staging"]
    finalize_batch(account, _one_of(staging, rng))


def _version(account: SandboxAccount, rng: random.Random) -> None:
    project = _one_of(list(account.projects), rng)
    set_params(account, project, {"patch": True, "churn": rng.getrandbits(32)})


_RARE = (_recall, _fix, _audit, _cancel, _metadata, _tags, _unique_id, _new_batch, _finalize, _version)
_CHANGES: tuple[Change, ...] = (*[_create] * 3, *[_complete] * 3, *_RARE)
"""The changes to choose from, common ones more than once."""
