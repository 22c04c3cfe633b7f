"""Tables of the command queue, a public contract, and the conditions that partial indexes repeat."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    false,
)

from scalesync.db.types import Instant, Json, Serial, metadata, one_of, one_row_key
from scalesync.models.commands import CommandState, Outcome

# Conditions are literal texts: SQLite uses a partial index only if the query repeats its condition as text.
OPEN = "state IN ('queued', 'sending', 'in_doubt')"
"""Commands that have not ended."""
UNSETTLED = "state IN ('queued', 'sending', 'in_doubt', 'dead')"
"""Commands without a known effect: open ones, and dead ones, which a person may still retry."""
WAITING = "state IN ('queued', 'in_doubt')"
"""Commands that a claim may take."""
UNHELD = "hold_reason IS NULL"
HELD = "hold_reason IS NOT NULL"
TIMED = "not_before IS NOT NULL"
UNTIMED = "not_before IS NULL"
IN_DOUBT = "state = 'in_doubt'"
SENDING = "state = 'sending'"
IN_FLIGHT = "state IN ('sending', 'in_doubt')"
CREATES = "kind IN ('create_task', 'create_batch', 'create_project', 'import_file', 'upload_file')"
FILES = "kind IN ('import_file', 'upload_file')"
CONTAINERS = "kind IN ('create_batch', 'create_project')"
"""Creates that commands on other resources wait for."""
KEYED = "state NOT IN ('dead', 'discarded')"
"""Commands whose idempotency key is taken."""


commands = Table(
    "commands",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order in which they came"),
    Column("cid", Text, nullable=False, unique=True, doc="a name that no other command has, in any database"),
    Column(
        "kind",
        Text,
        nullable=False,
        doc="what it does, such as `create_task` or `update_project`; the page on the queue has all",
    ),
    Column(
        "state",
        Text,
        nullable=False,
        doc="`queued`, `sending`, `in_doubt`, `delivered`, `dead` or `discarded`",
    ),
    Column("outcome", Text, doc="how it ended, such as `applied`, `rejected` or `withdrawn`"),
    Column("resource", Text, nullable=False, doc="what stays in order: a task, a batch, a project or a file"),
    Column("scope", Text, doc="the batch that it belongs to"),
    Column("depends_on", Text, doc="the batch or project whose creation it waits for"),
    Column("payload", Json, nullable=False, doc="what is sent"),
    Column(
        "idempotency_key", Text, doc="shared by no two commands, unless the earlier one is dead or discarded"
    ),
    Column("priority", Integer, nullable=False, server_default="0", doc="lower goes first"),
    Column("hold_reason", Text, doc="why it waits for a person"),
    Column(
        "fence",
        Integer,
        nullable=False,
        server_default="0",
        doc="counts claims; only the latest one may change it",
    ),
    Column("sends", Integer, nullable=False, server_default="0", doc="how often it was sent"),
    Column("failures", Integer, nullable=False, server_default="0", doc="how often it failed"),
    Column(
        "max_failures",
        Integer,
        nullable=False,
        server_default="25",
        doc="how often it may fail before it is dead",
    ),
    Column(
        "ambiguous",
        Boolean,
        nullable=False,
        server_default=false(),
        doc="whether a request without an answer may still have an effect",
    ),
    Column("sent_at", Instant, doc="when it was last sent, unless that is proven without effect"),
    Column("not_before", Instant, doc="when it may be tried again"),
    Column("owner", Text, doc="the process that sends it"),
    Column("leased_until", Instant, doc="when others may take it over"),
    Column(
        "base",
        BigInteger,
        doc="what there was before it: of an update the project's version, of an audit the number of audits",
    ),
    Column(
        "discard_requested",
        Boolean,
        nullable=False,
        server_default=false(),
        doc="whether it is discarded once it proves not applied",
    ),
    Column("result", Json, doc="what the API named"),
    Column("error_code", Integer, doc="HTTP status of the last failure"),
    Column("error", Text, doc="the API's words, or ours"),
    Column("created_at", Instant, nullable=False, doc="when it was queued"),
    Column("finished_at", Instant, doc="when it became delivered, dead or discarded"),
    Column(
        "target", Text, doc="of a change by `unique_id`, the id that it found for its task before it was sent"
    ),
    Column("needs", Json, doc="the files whose addresses it waits for, as a list of their `resource`"),
    one_of("state", CommandState),
    one_of("outcome", Outcome),
    CheckConstraint("(state = 'sending') = (leased_until IS NOT NULL)", name="leased"),
    CheckConstraint(
        "(state IN ('delivered', 'dead', 'discarded')) = (finished_at IS NOT NULL)", name="finished"
    ),
    Index(None, "resource", "kind"),
    Index(None, "state"),
    sqlite_autoincrement=True,
    info={"doc": "one row for each command of the queue"},
)

command_attempts = Table(
    "command_attempts",
    metadata,
    Column("id", Serial, primary_key=True, doc="in the order of the steps"),
    Column("command_id", BigInteger, nullable=False, doc="the `id` of the command"),
    Column("fence", Integer, nullable=False, doc="how often the command had been claimed by then"),
    Column("at", Instant, nullable=False, doc="when it was taken"),
    Column(
        "step",
        Text,
        nullable=False,
        doc="such as `prepare`, `arm`, `send`, `look`, `settle`; or a person's `retry` or `discard`",
    ),
    Column("http_status", Integer, doc="the status of the answer"),
    Column("outcome", Text, nullable=False, doc="one word, such as `delivered`, `absent` or `unanswered`"),
    Column("detail", Text, doc="the API's words, or ours"),
    Index(None, "command_id"),
    sqlite_autoincrement=True,
    info={"doc": "one row for each step that was taken with a command; rows are only added"},
)
"""Append-only: every step taken with a command, by dispatchers and people."""

dispatch_gate = Table(
    "dispatch_gate",
    metadata,
    one_row_key(),
    Column("paused_until", Instant, doc="nothing is sent before this time"),
    Column("pause_reason", Text, doc="why; without a time nothing is sent until somebody resumes"),
    Column("paused_by", Text, doc="`person` or `api`"),
    info={"doc": "one row: whether sending is paused"},
)
"""One row, made by the migration. Nothing is claimed before `paused_until`; a reason without a time means:
not before somebody resumes. `paused_by` is a PausedBy; NULL if nothing was paused, or by hand in SQL."""

batch_seals = Table(
    "batch_seals",
    metadata,
    Column("batch", Text, primary_key=True, doc="the name of the batch"),
    Column("sealed_by", BigInteger, doc="the `id` of the finalize that closed it to new tasks"),
    info={"doc": "one row for each batch that was queued for"},
)
"""One row for each batch that commands name; `sealed_by` is the finalize that closed it to creates."""
