"""What to do about errors of the database, in the words of the command line: one table for all of them.

The modules that raise know what went wrong; commands and options are named here only, so that a renamed one
has one place to follow.
"""

import shlex
from collections.abc import Iterator, Sequence

INIT = "Run `scalesync init`."
INIT_FIRST = "Run `scalesync init` first."
BEGIN_AGAIN = "Put it back, or begin a new one with `scalesync init` and `scalesync sync`."
RESTORE = (
    "Restore a backup, with no -wal and -shm of the old file beside it,"
    " or begin a new file with `scalesync init` and `scalesync sync`."
)
DELETE_OLD_LOG = (
    "If this file is a backup put in place of another, delete the -wal and -shm beside it"
    " and run `scalesync queue distrust`. Otherwise put the file back that was here."
)
END_ALL_AND_READ_AGAIN = (
    "End every process that uses this mirror; then run `scalesync queue distrust`, queue again"
    " what is missing, and run `scalesync sync --full`."
)
REPAIR_ROW = "Correct or delete that row; `scalesync verify --repair` reads it again."

CORRECT_DB = "Correct --db."
CREATE_OR_CORRECT_DB = "Create it there, or correct --db."
NAME_FILE = "Name a file with --db."
ANOTHER_FILE = "Name another file with --db."
PERMISSIONS_OR_ANOTHER = "Correct its permissions, or name another with --db."
NAME_PRIMARY = "Name the primary with --db; lists, `status`, `export` and `sql` work here, too."
PRIMARY_OR_ROLE = (
    "Is it a standby, or is default_transaction_read_only on for this role? Name the primary with --db, or "
    "set that off; `scalesync check` says which it is."
)
FEWER_WORKERS = "Use fewer --workers, or run again later."

ANOTHER_KEY = "Use another key, or another database with --db."
ANOTHER_DB_OR_ADOPT = (
    "Name another with --db; for a new key of the same account run `scalesync init --adopt`."
)

NAME_BACKUP_OR_OVERWRITE = "Name another file, or replace it with --overwrite."
ONE_READING_STATEMENT = "Give one statement that only reads; `scalesync sql` cannot change anything."
FEWER_AT_ONCE = "Ask for less, or try again when the database has less to do."
ASK_LESS = "Ask for less, or give it more time: `scalesync sql` has --timeout."
NO_PARTITION = "Leave --partition out."
LIST_TABLES = "`scalesync export -h` has all."

VACUUM = "`scalesync prune --yes --vacuum` gives the free room back, and deletes what is old."
ANALYZE = "For SQL of your own it has no statistics: run ANALYZE on it, such as by `sqlite3 FILE ANALYZE`."
PRUNE = "`scalesync prune` says how many of the mirror's own records are older than 90 days."

ALLOW_DUPLICATES = "--allow-duplicates submits it again"
"""Ends a sentence of its own."""


def unseal(command_id: int) -> str:
    """Return how a batch takes tasks again that a queued command would finalize."""
    return f"`scalesync queue discard {command_id}` opens it again, unless that is sent already."


def cancel_task(task_id: str | None, unique_id: str) -> str:
    """Return the command line that cancels a delivered task, by its id if that is known."""
    if task_id is not None:
        return f"scalesync task cancel {shlex.quote(task_id)}"
    return f"scalesync task cancel --unique-id {shlex.quote(unique_id)}"


def analyze_tables(names: Sequence[str]) -> Iterator[str]:
    """Yield what to do about tables without statistics, if there are any."""
    if names:
        yield f"Queries are planned without statistics: run `ANALYZE {', '.join(names)}` on the server."


def vacuum_tables(names: Sequence[str]) -> Iterator[str]:
    """Yield what to do about tables with many dead rows, if there are any."""
    if names:
        yield f"Autovacuum lags behind: run `VACUUM {', '.join(names)}` on the server."
