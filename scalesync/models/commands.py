"""Commands of the write queue: kinds, states, outcomes, and the values around claims and pauses."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

GENERATED = "scalesync-"
"""Prefix of a unique_id or reference_id that was generated from the content of its task or file."""


class CommandKind(StrEnum):
    """The kinds of commands. The database stores any text: a kind exists if it has a handler."""

    CREATE_TASK = "create_task"
    CANCEL_TASK = "cancel_task"
    CREATE_BATCH = "create_batch"
    FINALIZE_BATCH = "finalize_batch"
    CREATE_PROJECT = "create_project"
    UPDATE_PROJECT = "update_project"
    AUDIT_TASK = "audit_task"
    SET_TASK_TAGS = "set_task_tags"
    ADD_TASK_TAGS = "add_task_tags"
    DELETE_TASK_TAGS = "delete_task_tags"
    SET_TASK_METADATA = "set_task_metadata"
    UPDATE_TASK_UNIQUE_ID = "update_task_unique_id"
    CLEAR_TASK_UNIQUE_ID = "clear_task_unique_id"
    SET_BATCH_METADATA = "set_batch_metadata"
    IMPORT_FILE = "import_file"
    UPLOAD_FILE = "upload_file"
    SEND_CALLBACK = "send_callback"
    CREATE_EVALUATION_TASK = "create_evaluation_task"
    CREATE_TRAINING_TASK = "create_training_task"


APPLIED_ONCE = (
    CommandKind.CREATE_TASK,
    CommandKind.CANCEL_TASK,
    CommandKind.CREATE_BATCH,
    CommandKind.FINALIZE_BATCH,
    CommandKind.CREATE_PROJECT,
    CommandKind.IMPORT_FILE,
    CommandKind.UPLOAD_FILE,
)
"""The kinds that the API does not apply a second time, however late a repeated request arrives."""


class CommandState(StrEnum):
    """The stored state of a command."""

    QUEUED = "queued"
    """Never sent, or verified as not applied."""
    SENDING = "sending"
    """Claimed under a lease; it may have been sent if `sent_at` is set. After a crash the first claim behind
    the lease makes it queued or in doubt."""
    IN_DOUBT = "in_doubt"
    """May have been applied: a look-up comes before another send, and its resource stays locked."""
    DELIVERED = "delivered"
    """The effect was seen at the API. Final."""
    DEAD = "dead"
    """Given up; a person retries or discards it."""
    DISCARDED = "discarded"
    """Will never have an effect: a person withdrew it, or it came too late, such as a cancel of a completed
    task. Final."""


class Outcome(StrEnum):
    """The final result of a command, or its last final failure."""

    APPLIED = "applied"
    """Applied by a request of this queue."""
    ALREADY_APPLIED = "already_applied"
    """The effect was there before this queue sent anything."""
    NO_OP = "no_op"
    """Not sent: it would have changed nothing."""
    REJECTED = "rejected"
    """The API refused it; its message is in `error`."""
    CONFLICT = "conflict"
    """Another object has the name or unique_id."""
    EXHAUSTED = "exhausted"
    """Not applied after `max_failures` failures."""
    WITHDRAWN = "withdrawn"
    """Withdrawn by a person, or by a cancel that came before it was sent."""
    DEPENDENCY_FAILED = "dependency_failed"
    """The command that it depends on was withdrawn."""


@dataclass(frozen=True, slots=True)
class Creation:
    """The object that a create command makes, as the mirror will store it."""

    stream: str
    name: str
    """The unique_id of a task, else the name."""
    match_on: tuple[tuple[str, str], ...]
    """(column, value) pairs that a mirrored object of this name must have to be the same; may be empty."""


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command that is not in the queue yet."""

    kind: str
    payload: str
    """Canonical JSON text for its handler."""
    resource: str
    """`task:<unique_id>`, `batch:<name>`, `project:<name>` or `file:<reference_id>`; commands on one resource
    are sent in order."""
    scope: str | None = None
    """`batch:<name>` for a batch's create, its tasks' creates and its finalize."""
    depends_on: str | None = None
    """Another resource, whose create must be delivered first if it was queued before this command."""
    needs: tuple[str, ...] = ()
    """The resources of files that must be delivered first: their addresses go into the payload."""
    idempotency_key: str | None = None
    """Unique among commands that are neither dead nor discarded; None: not compared."""
    priority: int = 0
    """Lower is sent first; equal ones by age."""
    seals_batch: bool = False
    """Whether `scope` accepts no further commands (a finalize)."""
    cancels_create: bool = False
    """Whether it and an unsent create of the same resource discard each other (a cancel)."""
    creates: Creation | None = None
    """The object it creates, None if it creates none."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row of `commands`; fields are the columns of the same names."""

    id: int
    cid: str
    """Unique among the commands of all databases."""
    kind: str
    state: CommandState
    outcome: Outcome | None
    resource: str
    scope: str | None
    depends_on: str | None
    payload: str
    idempotency_key: str | None
    priority: int
    hold_reason: str | None
    """Why it is not claimed until a person acts; None: it is not held."""
    fence: int
    """Increases with every claim and change; a writer must know the present number (fencing token)."""
    sends: int
    """Number of armings."""
    failures: int
    max_failures: int
    ambiguous: bool
    """Whether an earlier request may have had an effect, or may still get one."""
    sent_at: datetime | None
    """Time of the last arming by the database's clock; None once verified as without effect."""
    not_before: datetime | None
    owner: str | None
    leased_until: datetime | None
    base: int | None
    """What was there before the first send: for update_project the project's last version, -1 for none; for
    audit_task see its handler."""
    discard_requested: bool
    result: str | None
    """JSON text: `{"task_id": ...}` for a task, `{"id": ..., "attachment_url": ...}` for a file, else
    `{"name": ...}`."""
    error_code: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    target: str | None = None
    """For a change of a task by unique_id: the task_id found at its first arming, which is never replaced."""
    needs: str | None = None
    """A list as JSON text: the resources of files whose addresses it waits for."""

    @property
    def needed_files(self) -> tuple[str, ...]:
        """The resources in `needs`."""
        return () if self.needs is None else tuple(json.loads(self.needs))

    @property
    def left_to_a_person(self) -> bool:
        """Whether it is held because nobody can see if it was applied: a person retries or discards it."""
        doubtful = self.state is CommandState.IN_DOUBT and self.hold_reason is not None
        return doubtful and self.hold_reason == self.error


@dataclass(frozen=True, slots=True)
class Claim:
    """A command that one process owns until its lease ends."""

    command: Command
    """As claimed, with the addresses of files that it refers to; its `fence` identifies this claim."""
    since_sent: float | None = None
    """Seconds since the last arming, by the database's clock; None: no request of it can have an effect."""
    since_created: float | None = None
    """Seconds since this queue created its resource, or the one it depends on; None: it did not."""
    missing_files: tuple[str, ...] = ()
    """Resources of the files that it needs and that have no address here."""


@dataclass(frozen=True, slots=True)
class AttemptStep:
    """A step of a claim, for the log `command_attempts`."""

    step: str
    """look, prepare, arm, send, settle, rescue, or a person's discard, retry, distrust, hold."""
    outcome: str
    """One word, such as delivered, absent, refused, unanswered."""
    http_status: int | None = None
    detail: str | None = None
    """The API's message or ours; never the API key or a payload."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of `command_attempts`."""

    id: int
    command_id: int
    fence: int
    at: datetime
    step: str
    http_status: int | None
    outcome: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a claim: the command's next state and other changes."""

    state: CommandState
    """Not SENDING."""
    outcome: Outcome | None = None
    ambiguous: bool = False
    """Meaningful for QUEUED, IN_DOUBT and DEAD; False for the final states."""
    failed: bool = False
    """Whether it counts against `max_failures`."""
    wait: float = 0.0
    """Seconds until it may be claimed again."""
    hold_reason: str | None = None
    error_code: int | None = None
    error: str | None = None
    result: str | None = None
    frees_key: bool = False
    """Whether the resource's name may be used again: its delivered commands lose their idempotency keys."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The result of queueing one command."""

    command_id: int | None
    """The command in the queue; None: nothing was queued, because the mirror has the object already."""
    new: bool
    """False: the command was there before, with the same content."""
    withdrew: int | None = None
    """The unsent create that was discarded together with this command."""
    mirrored: str | None = None
    """The key of the object that the mirror has already under this name."""
    attachment: str | None = None
    """For a file: what stands for its address in the body of a task, which is sent once the file is there."""
