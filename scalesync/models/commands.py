"""The nouns of the write side: what is to be done at Scale, how far it is, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

GENERATED = "scalesync-"
"""How a unique_id begins that was made from its task's content."""


class CommandKind(StrEnum):
    """What a command does at Scale. The database takes any text: a kind is what has a handler."""

    CREATE_TASK = "create_task"
    CANCEL_TASK = "cancel_task"
    CREATE_BATCH = "create_batch"
    FINALIZE_BATCH = "finalize_batch"
    CREATE_PROJECT = "create_project"
    UPDATE_PROJECT = "update_project"


class CommandState(StrEnum):
    """Where a command stands, as it is stored."""

    QUEUED = "queued"
    """Never sent, or proven not applied. Left by a claim or a discard."""
    SENDING = "sending"
    """Claimed under a lease; `sent_at` tells whether it may have been sent. A crash leaves it so, and the
    first claim after the lease makes it queued or in doubt."""
    IN_DOUBT = "in_doubt"
    """May have been applied: the API is asked before it may be sent. It keeps its resource meanwhile."""
    DELIVERED = "delivered"
    """The effect is there, and was seen. Final."""
    DEAD = "dead"
    """Given up and kept for a person, who retries or discards it."""
    DISCARDED = "discarded"
    """Without effect for good, and nothing to be done about it: a person withdrew it, or it lost a race that
    nobody could win, such as a cancel of a task that is completed. Final."""


class Outcome(StrEnum):
    """How a command ended, or last failed for good."""

    APPLIED = "applied"
    """By a request of ours."""
    ALREADY_APPLIED = "already_applied"
    """It was there before any request of ours could have done it, and it is what we wanted."""
    NO_OP = "no_op"
    """Nothing was sent: it would have changed nothing."""
    REJECTED = "rejected"
    """The API refused it; its words are in `error`."""
    CONFLICT = "conflict"
    """Something else has the name or unique_id."""
    EXHAUSTED = "exhausted"
    """Proven not applied after as many failures as it may have."""
    WITHDRAWN = "withdrawn"
    """By a person, or by a cancel that came before it was sent."""
    DEPENDENCY_FAILED = "dependency_failed"
    """What it hung on was withdrawn."""


@dataclass(frozen=True, slots=True)
class Creation:
    """The object that a create makes, as the mirror will know it."""

    stream: str
    name: str
    """Its unique_id for a task, else its name."""
    match_on: tuple[tuple[str, str], ...]
    """Where it is made, as columns and values. If empty, a mirrored object of that name is the same one."""


@dataclass(frozen=True, slots=True)
class NewCommand:
    """An intent, before it is in the queue."""

    kind: str
    payload: str
    """What its handler needs, as canonical JSON text."""
    resource: str
    """What must stay in order, such as `task:<unique_id>`, `batch:<name>`, `project:<name>`."""
    scope: str | None = None
    """`batch:<name>` for what belongs to that batch: its own create, its tasks' creates, its finalize."""
    depends_on: str | None = None
    """Another resource, whose create must be delivered first if it is queued here before this."""
    idempotency_key: str | None = None
    """Shared by no two commands unless the one before is dead or discarded; None: never compared."""
    priority: int = 0
    """Lower goes first; equal ones by age."""
    seals_batch: bool = False
    """Whether `scope` takes nothing more from now on (a finalize)."""
    cancels_create: bool = False
    """Whether it and a never sent create of the same resource discard each other (a cancel)."""
    creates: Creation | None = None
    """What it makes, if it makes anything."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row of `commands`; the columns of the same names."""

    id: int
    cid: str
    """A name that no other command, in any database, has."""
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
    """Why nobody claims it until a person acts; None: nothing holds it."""
    fence: int
    """How often it was taken up or moved: only who knows the present number may change it."""
    sends: int
    """How often it was armed."""
    failures: int
    max_failures: int
    ambiguous: bool
    """Whether a request without an answer may still have, or yet get, an effect."""
    sent_at: datetime | None
    """When it was armed last, unless proven without effect; the database's clock."""
    not_before: datetime | None
    owner: str | None
    leased_until: datetime | None
    base: int | None
    """Before an update_project: the project's last version, -1 for none."""
    discard_requested: bool
    result: str | None
    """What the API named, as JSON text: `{"task_id": ...}` for a task, `{"name": ...}` for the others."""
    error_code: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    target: str | None = None
    """Of a cancel by unique_id: the task_id found when it was armed first. It never touches another task."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A command in our hands until its lease ends."""

    command: Command
    """As it stands under this claim; its `fence` is ours."""
    since_sent: float | None = None
    """Seconds since it was armed last, by the database's clock; None: no request of it can have an effect."""
    since_created: float | None = None
    """Seconds since its own resource, or what it depends on, was created by this queue; None: not here."""


@dataclass(frozen=True, slots=True)
class AttemptStep:
    """One line of the log that every command keeps: `command_attempts`."""

    step: str
    """look, prepare, arm, send, settle, rescue, or a person's discard, retry, distrust, hold."""
    outcome: str
    """One word, such as delivered, absent, refused, unanswered."""
    http_status: int | None = None
    detail: str | None = None
    """The API's words or ours; never a key, never a payload."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A step as it was logged."""

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
    """What a claim came to: the state its command goes to, and what else changes with it."""

    state: CommandState
    """Anything but SENDING."""
    outcome: Outcome | None = None
    ambiguous: bool = False
    """Kept or set for QUEUED, IN_DOUBT and DEAD; final states never are."""
    failed: bool = False
    """Whether it counts against `max_failures`."""
    wait: float = 0.0
    """Seconds until it may be claimed again."""
    hold_reason: str | None = None
    error_code: int | None = None
    error: str | None = None
    result: str | None = None
    frees_key: bool = False
    """Whether the resource's name may be used again: its delivered commands give up their keys."""


class PausedBy(StrEnum):
    """Who paused the queue: a person, or the API by asking for a rest or refusing the key or the account."""

    PERSON = "person"
    API = "api"


@dataclass(frozen=True, slots=True)
class PauseState:
    """Whether anything may be sent, for every host that uses the database."""

    paused: bool
    seconds: float | None
    """Until it opens by itself; None: not before `queue resume`."""
    reason: str | None
    paused_by: PausedBy | None = None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of one enqueueing."""

    command_id: int | None
    """The command that is in the queue now; None where the mirror holds the object already."""
    new: bool
    """False: it was there before, with the same content."""
    withdrew: int | None = None
    """The never sent create that it and this command discarded."""
    mirrored: str | None = None
    """The key of the object that the mirror holds already under this name."""


class DisplayState(StrEnum):
    """Where a command stands, for people: `queued` and `in_doubt` told apart by what they wait for."""

    READY = "ready"
    SCHEDULED = "scheduled"
    RETRYING = "retrying"
    BLOCKED = "blocked"
    HELD = "held"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command with what people ask about it."""

    command: Command
    display: DisplayState
    waits_for: int | None = None
    """The command that blocks it, by the very conditions under which it cannot be claimed."""
    reason: str | None = None
    """Why it waits, in one sentence."""


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How full the queue is."""

    open: int
    """Commands not final and not dead."""
    by_state: dict[str, int]
    oldest_seconds: float | None
    """Age of the oldest open command by the database's clock."""
    dead: int
    in_doubt: int
    held: int

    @property
    def needs_a_person(self) -> bool:
        """Whether something is dead, in doubt or held."""
        return bool(self.dead or self.in_doubt or self.held)


class DiscardAnswer(StrEnum):
    """The three answers to a discard."""

    DISCARDED = "discarded"
    """It will never be sent."""
    REQUESTED = "requested"
    """It is being sent or in doubt: it will be dropped if it proves not applied."""
    TOO_LATE = "too late"
    """It is done; only another command can undo it."""


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """What a discard came to."""

    command_id: int
    answer: DiscardAnswer
    also: tuple[int, ...] = ()
    """Commands that hung on it and were discarded with it."""
    instead: str | None = None
    """For TOO_LATE: the command line that undoes it, if there is one."""
