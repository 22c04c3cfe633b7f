"""The indexes with a condition. Import this module where the metadata must be complete, as for migrations.

They are apart from the tables because declaring one loads both of SQLAlchemy's dialects, which is slow, and
no statement needs them.
"""

from sqlalchemy import Column, Index, text

import scalesync.db.schema.publishing
import scalesync.db.schema.reviews_and_versions  # noqa: F401 - so do these
from scalesync.db.schema.annotations_and_changes import result_files
from scalesync.db.schema.mirror import UNFINISHED, batches, tasks
from scalesync.db.schema.queue import (
    CONTAINERS,
    HELD,
    IN_DOUBT,
    IN_FLIGHT,
    KEYED,
    SENDING,
    TIMED,
    UNHELD,
    UNSETTLED,
    UNTIMED,
    WAITING,
    commands,
)
from scalesync.db.schema.sync import runs
from scalesync.db.types import metadata

__all__ = ["metadata"]


def _partial(name: str, *columns: Column[object], where: str, unique: bool = False) -> None:
    """Declare an index of the rows that match a condition."""
    Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


_partial("ix_tasks_missing", tasks.c.status, where="missing_since IS NOT NULL")
# For counts that `status` and each sync make, of what is left to do and not of what is done.
_partial("ix_result_files_unfetched", result_files.c.url, where="fetched_at IS NULL")
_partial("ix_result_files_unread", result_files.c.fetched_at, where="read_at IS NULL")
_partial("ix_batches_uncounted", batches.c.name, where="counted_at IS NULL")
_partial("ix_batches_unfinished", batches.c.created_at, where=UNFINISHED)
_partial("ix_runs_open", runs.c.state, where="state = 'open'", unique=True)

_C = commands.c
# Two constraints that hold against every race: one command in flight per resource, one command per key.
_partial("ux_commands_resource_in_flight", _C.resource, where=IN_FLIGHT, unique=True)
_partial("ux_commands_idempotency_key", _C.idempotency_key, where=KEYED, unique=True)
# For claims and counts, whose cost must not depend on finished commands: each has the order of one query.
_partial("ix_commands_waiting", _C.priority, _C.id, where=f"{WAITING} AND {UNHELD}")
_partial(
    "ix_commands_ready", _C.depends_on, _C.priority, _C.id, where=f"{WAITING} AND {UNHELD} AND {UNTIMED}"
)
_partial("ix_commands_timed", _C.not_before, where=f"{WAITING} AND {UNHELD} AND {TIMED}")
_partial("ix_commands_held", _C.id, where=f"{WAITING} AND {HELD}")
_partial("ix_commands_in_doubt", _C.priority, _C.id, where=IN_DOUBT)
_partial("ix_commands_leases", _C.leased_until, _C.owner, where=SENDING)
# For the blockers of a command, in the order of `claim_conditions.blockers`.
_partial("ix_commands_unsettled", _C.resource, _C.id, where=UNSETTLED)
_partial("ix_commands_containers", _C.resource, _C.id, where=f"{CONTAINERS} AND {UNSETTLED}")
_partial("ix_commands_needing", _C.id, where=f"needs IS NOT NULL AND {UNSETTLED}")
_partial("ix_commands_scope", _C.scope, _C.id, where=f"kind = 'create_task' AND {UNSETTLED}")
