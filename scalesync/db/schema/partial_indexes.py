"""Every table and index there is: importing this module is what makes the metadata whole.

Indexes with a condition stand here, for declaring one loads what SQLAlchemy has for either database, which
takes a while, and no statement needs the declaration.
"""

from sqlalchemy import Column, Index, text

import scalesync.db.schema.annotations_and_changes  # noqa: F401 - its tables join the metadata
from scalesync.db.schema.mirror import tasks
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
    """Declare an index of the rows for which a condition holds."""
    Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


_partial("ix_tasks_missing", tasks.c.status, where="missing_since IS NOT NULL")
_partial("ix_runs_open", runs.c.state, where="state = 'open'", unique=True)

_C = commands.c
_partial("ux_commands_resource_in_flight", _C.resource, where=IN_FLIGHT, unique=True)
_partial("ux_commands_idempotency_key", _C.idempotency_key, where=KEYED, unique=True)
_partial("ix_commands_waiting", _C.priority, _C.id, where=f"{WAITING} AND {UNHELD}")
_partial(
    "ix_commands_ready", _C.depends_on, _C.priority, _C.id, where=f"{WAITING} AND {UNHELD} AND {UNTIMED}"
)
_partial("ix_commands_timed", _C.not_before, where=f"{WAITING} AND {UNHELD} AND {TIMED}")
_partial("ix_commands_held", _C.id, where=f"{WAITING} AND {HELD}")
_partial("ix_commands_in_doubt", _C.priority, _C.id, where=IN_DOUBT)
_partial("ix_commands_leases", _C.leased_until, _C.owner, where=SENDING)
_partial("ix_commands_unsettled", _C.resource, _C.id, where=UNSETTLED)
_partial("ix_commands_containers", _C.resource, _C.id, where=f"{CONTAINERS} AND {UNSETTLED}")
_partial("ix_commands_scope", _C.scope, _C.id, where=f"kind = 'create_task' AND {UNSETTLED}")
