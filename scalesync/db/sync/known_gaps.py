"""Find what is known not to be complete: runs that left a gap, and verifications that did not succeed.

A gap counts until a later run has read as much, or a later verification has found the mirror equal.
"""

import sqlalchemy as sa

from scalesync.db.mirror.documents import MAPPINGS
from scalesync.db.schema.sync import runs, verifications, windows
from scalesync.db.sync.runs import find
from scalesync.db.sync.verifications import RECORD_COLUMNS
from scalesync.models.sync import Run, RunKind, RunState, VerificationRecord, VerificationState

_LATER = runs.alias("later_run")
_READ_LATER = windows.alias("window_read_later")


def left_gap() -> sa.ColumnElement[bool]:
    """Return the condition of incomplete runs with a part that no later complete run has read.

    A full run reads as much as any of the same stream. A run that moves watermarks begins where the last
    complete one did, so it reads what an incomplete one of its kind had to. A backfill reads its windows.
    """
    kind, later, read = runs.c.kind, _LATER.c, _READ_LATER.c
    as_much = sa.or_(
        later.kind == RunKind.FULL,
        sa.and_(kind == RunKind.INCREMENTAL, later.kind == RunKind.INCREMENTAL),
        sa.and_(kind == RunKind.BACKFILL, later.kind == RunKind.BACKFILL, *_holds()),
    )
    covered = (
        sa.exists()
        .where(later.id > runs.c.id, later.state == RunState.COMPLETE, read.run_id == later.id)
        .where(read.parent_id.is_(None), read.stream == windows.c.stream, as_much)
        .correlate(runs, windows)
    )
    part = sa.exists().where(windows.c.run_id == runs.c.id, windows.c.parent_id.is_(None), ~covered)
    return sa.and_(runs.c.state == RunState.INCOMPLETE, part)


def _holds() -> list[sa.ColumnElement[bool]]:
    """Return the conditions under which a window read later holds everything of an earlier one."""
    wide, narrow = _READ_LATER.c, windows.c
    return [
        sa.or_(wide.project.is_(None), wide.project == narrow.project),
        sa.or_(wide.created_from.is_(None), wide.created_from <= narrow.created_from),
        sa.or_(wide.created_to.is_(None), wide.created_to >= narrow.created_to),
        sa.or_(wide.updated_from.is_(None), wide.updated_from <= narrow.updated_from),
    ]


def incomplete_run(conn: sa.Connection) -> Run | None:
    """Return the newest run that left a gap which is still there; None: there is none."""
    proof = sa.exists().where(
        verifications.c.state == VerificationState.PROVEN,
        verifications.c.everything,
        verifications.c.as_of > runs.c.finished_at,
    )
    query = sa.select(runs.c.id).where(left_gap(), ~proof).order_by(runs.c.id.desc()).limit(1)
    found: int | None = conn.scalar(query)
    return None if found is None else find(conn, found)


def left_doubt() -> sa.ColumnElement[bool]:
    """Return the condition of verifications whose differences, or doubts, nothing has removed since."""
    c, later = verifications.c, verifications.alias("later_verification").c
    found_equal = sa.exists().where(
        later.id > c.id,
        later.state == VerificationState.PROVEN,
        sa.or_(later.everything, later.scope == c.scope),
        # What only whole documents showed is not seen by comparing counts.
        sa.or_(later.deep, ~c.deep),
    )
    all_read = (
        sa.select(sa.func.count(windows.c.stream.distinct()))
        .join(runs, runs.c.id == windows.c.run_id)
        .where(runs.c.kind == RunKind.FULL, runs.c.state == RunState.COMPLETE, runs.c.started_at > c.as_of)
        .correlate(verifications)
        .scalar_subquery()
    )
    return sa.and_(c.state != VerificationState.PROVEN, ~found_equal, all_read < len(MAPPINGS))


def failed_verification(conn: sa.Connection) -> VerificationRecord | None:
    """Return the last verification whose differences, or doubts, are still there; None: there is none."""
    query = sa.select(*RECORD_COLUMNS).where(left_doubt()).order_by(verifications.c.id.desc()).limit(1)
    row = conn.execute(query).first()
    return None if row is None else VerificationRecord(*row)
