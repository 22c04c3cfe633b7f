"""Make random changes, as other people do between two reads of an account."""

import random
from collections.abc import Callable, Iterable

from scalesync.sandbox.account import SandboxAccount
from scalesync.sandbox.batches import create_batch, finalize_batch
from scalesync.sandbox.errors import HttpError
from scalesync.sandbox.projects import set_params
from scalesync.sandbox.task_writes import (
    audit_task,
    cancel_task,
    change_tags,
    complete_task,
    create_task,
    fix_task,
    recall_task,
    set_metadata,
    set_unique_id,
)

Change = Callable[[SandboxAccount, random.Random], bool]
"""Makes one change; returns False if there was nothing to change."""


def churn(account: SandboxAccount, rng: random.Random, changes: int) -> int:
    """Make `changes` random changes, and return how many of them found something to change."""
    return sum(_attempt(rng.choice(_CHANGES), account, rng) for _ in range(changes))


def _attempt(change: Change, account: SandboxAccount, rng: random.Random) -> bool:
    # A refusal is normal: between the pick and the change a task may have no allowed change left.
    try:
        return change(account, rng)
    except HttpError:
        return False


def annotate(account: SandboxAccount, rng: random.Random) -> bool:
    """Complete a pending task and sometimes recall or fix another; return False if none is pending."""
    if rng.random() < 0.05:
        _attempt(rng.choice((_recall, _fix)), account, rng)
    return _complete(account, rng)


def _pick(account: SandboxAccount, rng: random.Random, status: str) -> str | None:
    """Return a random task of a status; None if 40 tries find none."""
    created = account.tasks.created
    # Tries at random: an index of each status would have to follow every change.
    for _ in range(min(40, len(created))):
        task_id = rng.choice(created)[1]
        if account.tasks[task_id].status == status:
            return task_id
    return None


def _pick_pending(account: SandboxAccount, rng: random.Random) -> str | None:
    # Pending tasks run out, and are then hardly ever found at random: the oldest one is taken.
    return _pick(account, rng, "pending") or next(iter(account.tasks.pending), None)


def _create(account: SandboxAccount, rng: random.Random) -> bool:
    open_batches = [batch for batch in account.batches.values() if batch["status"] != "completed"]
    body = {
        "instruction": "Draw a box around each car.",
        "attachment": f"https://pictures.sandbox.example/{rng.getrandbits(40):010x}.jpg",
        "geometries": {"box": {"objects_to_annotate": ["car"]}},
        "metadata": {"by": "churn"},
    }
    if open_batches and rng.random() < 0.7:
        body["batch"] = rng.choice(open_batches)["name"]
    if rng.random() < 0.5:
        body["unique_id"] = f"churn-{rng.getrandbits(48):012x}"
    create_task(account, "imageannotation", body)
    return True


def _complete(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _pick_pending(account, rng)
    return task_id is not None and complete_task(account, task_id) is not None


def _recall(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _pick(account, rng, "completed")
    return task_id is not None and recall_task(account, task_id) is not None


def _fix(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _pick(account, rng, "completed")
    return task_id is not None and fix_task(account, task_id) is not None


def _audit(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _pick(account, rng, "completed")
    return task_id is not None and audit_task(account, task_id, rng.random() < 0.7, "by churn") is not None


def _cancel(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _pick_pending(account, rng)
    return (
        task_id is not None and cancel_task(account, task_id, clear_unique_id=rng.random() < 0.3) is not None
    )


def _metadata(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _any(account, rng)
    return task_id is not None and set_metadata(account, task_id, {"churn": rng.getrandbits(32)}) is not None


def _tags(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _any(account, rng)
    method = rng.choice(("POST", "PUT", "DELETE"))
    return task_id is not None and change_tags(account, task_id, method, ["churned"]) is not None


def _unique_id(account: SandboxAccount, rng: random.Random) -> bool:
    task_id = _any(account, rng)
    new = f"renamed-{rng.getrandbits(48):012x}" if rng.random() < 0.7 else None
    return task_id is not None and set_unique_id(account, task_id, new) is not None


def _any(account: SandboxAccount, rng: random.Random) -> str | None:
    return rng.choice(account.tasks.created)[1] if account.tasks.created else None


def _new_batch(account: SandboxAccount, rng: random.Random) -> bool:
    return bool(account.projects) and bool(
        create_batch(
            account, {"name": f"churn {rng.getrandbits(40):010x}", "project": _one_of(account.projects, rng)}
        )
    )


def _finalize(account: SandboxAccount, rng: random.Random) -> bool:
    staging = [name for name, batch in account.batches.items() if batch["status"] == "staging"]
    return bool(staging) and bool(finalize_batch(account, rng.choice(staging)))


def _version(account: SandboxAccount, rng: random.Random) -> bool:
    return bool(account.projects) and bool(
        set_params(account, _one_of(account.projects, rng), {"patch": True, "churn": rng.getrandbits(32)})
    )


def _one_of(named: Iterable[str], rng: random.Random) -> str:
    return rng.choice(list(named))


_CHANGES: tuple[Change, ...] = (
    _create,
    _create,
    _create,
    _complete,
    _complete,
    _complete,
    _recall,
    _fix,
    _audit,
    _cancel,
    _metadata,
    _tags,
    _unique_id,
    _new_batch,
    _finalize,
    _version,
)
"""The changes to choose from, common ones more than once."""
