"""Claim, arm and settle as one process does, each step in a transaction of its own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from scalesync.db.database import Database
from scalesync.db.queue import claim_arm_settle
from scalesync.db.schema.queue import commands
from scalesync.models.commands import AttemptStep, Claim, CommandState, Outcome, Settlement

LEASE = 200.0
NEED = 65.0
DONE = Settlement(CommandState.DELIVERED, Outcome.APPLIED, result='{"task_id": "t"}')
BACK = Settlement(CommandState.QUEUED)
DOUBT = Settlement(CommandState.IN_DOUBT, ambiguous=True, failed=True)
REFUSED = Settlement(CommandState.DEAD, Outcome.REJECTED, error_code=400, error="No.")


def soon(seconds: float) -> datetime:
    """Return the time in so many seconds."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def claim(database: Database, limit: int = 10, **options: Any) -> list[Claim]:
    """Claim as `me`."""
    with database.write() as conn:
        return claim_arm_settle.claim(conn, **{"owner": "me", "lease": LEASE, "limit": limit, **options})


def ids(database: Database, limit: int = 10, **options: Any) -> list[int]:
    """Claim, and return what was claimed."""
    return [one.command.id for one in claim(database, limit, **options)]


def taken(database: Database) -> Claim:
    """Claim the only command there is."""
    [one] = claim(database)
    return one


def arm(database: Database, one: Claim, need: float = NEED, base: int | None = None) -> bool:
    """Arm."""
    with database.write(durable=True) as conn:
        return claim_arm_settle.arm(conn, one, need=need, base=base)


def settle(database: Database, one: Claim, verdict: Settlement, steps: Sequence[AttemptStep] = ()) -> bool:
    """Settle."""
    with database.write() as conn:
        return claim_arm_settle.settle(conn, one, verdict, steps)


def alter(database: Database, command_id: int, **values: Any) -> None:
    """Change columns of a command and nothing else."""
    with database.write() as conn:
        conn.execute(update(commands).where(commands.c.id == command_id).values(**values))
