"""`from scalesync import Mirror`: everything that the command line does, from Python."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy

import scalesync
from scalesync import Mirror
from scalesync.errors import (
    BatchSealedError,
    ConfigurationError,
    ConflictError,
    DatabaseError,
    QueueError,
    ScaleInvalidRequest,
    ScaleResourceNotFound,
    SubmissionError,
)
from scalesync.models.queue_state import DiscardAnswer, DisplayState
from scalesync.sandbox import SandboxServer
from tests.support.sandboxes import LIVE_KEY

Start = Callable[..., SandboxServer]
AWAY = "http://127.0.0.1:9/v1"


@pytest.fixture
def server(start_sandbox: Start) -> SandboxServer:
    """Return an empty sandbox without faults."""
    return start_sandbox()


@pytest.fixture
def mirror(database_url: str, server: SandboxServer) -> Mirror:
    """Return an empty mirror of that sandbox on each kind of database in turn."""
    return Mirror(database_url, api_key=LIVE_KEY, api_url=server.url)


@pytest.fixture
def offline(sqlite_url: str) -> Mirror:
    """Return an empty mirror of an API that is not there."""
    return Mirror(sqlite_url, api_key=LIVE_KEY, api_url=AWAY)


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    """Return an engine of the caller's own on the same database, made as anybody would."""
    engine = sqlalchemy.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as conn:
        conn.execute(sqlalchemy.text("CREATE TABLE mine (id INTEGER PRIMARY KEY)"))
    yield engine
    engine.dispose()


def count(engine: sqlalchemy.Engine, table: str) -> int:
    """Return how many rows a table has."""
    with engine.connect() as conn:
        return int(conn.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_importing_scalesync_loads_no_database_library() -> None:
    """Only `Mirror` does; a name that is not there is said to be so."""
    program = "import sys, scalesync; print('sqlalchemy' in sys.modules); scalesync.Mirror; scalesync.Miror"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout == "False\n"
    assert "has no attribute 'Miror'" in done.stderr
    assert scalesync.Mirror is Mirror


def test_all_six_kinds_from_submission_to_the_mirror(mirror: Mirror, server: SandboxServer) -> None:
    """Queued, dispatched, read back; each had its effect once."""
    mirror.create_project("P", "textcollection", {"instruction": "old"}, studio=True)
    mirror.create_batch("B", "P", metadata={"week": 47}, callback="https://example.com/done")
    one = mirror.create_task(
        "textcollection", {"project": "P", "batch": "B", "unique_id": "one", "priority": 30}
    )
    many = mirror.create_tasks("textcollection", ({"project": "P", "batch": "B", "n": n} for n in range(20)))
    mirror.finalize_batch("B")
    mirror.update_project("P", {"instruction": "new"}, patch=True)
    first = mirror.dispatch(workers=4, timeout=10)
    mirror.cancel_task(unique_id="one", clear_unique_id=True)
    second = mirror.dispatch(settle_time=1, patience=10)

    assert (first.ended, first.delivered, second.delivered) == ("done", 25, 1)
    assert len(many.queued) == 20
    assert one.command_id is not None
    named = mirror.queue.result(one.command_id)
    assert named is not None
    task, batch, project = mirror.task(named["task_id"]), mirror.batch("B"), mirror.project("P")
    assert task is not None
    assert batch is not None
    assert project is not None
    assert (task["status"], batch["metadata"], batch["status"]) == ("canceled", {"week": 47}, "in_progress")
    assert [version["instruction"] for version in project["param_history"]] == ["old", "new"]
    assert (len(list(mirror.tasks(batch="B", status="pending"))), mirror.batch_status("B").pending) == (
        20,
        20,
    )
    assert {n for kind, _, _, n in server.backend.applied if kind != "project"} == {1}


def test_a_transaction_queues_all_or_nothing(mirror: Mirror) -> None:
    """An error in the middle, of ours or of the caller's own, takes back what came before it."""
    mirror.create_task("annotation", {"unique_id": "u", "n": 1})

    def clash() -> None:
        with mirror.transaction() as tx:
            tx.create_batch("B", "P")
            tx.create_task("annotation", {"unique_id": "u", "n": 2})

    def mistake() -> None:
        with mirror.transaction() as tx:
            tx.finalize_batch("B")
            raise ZeroDivisionError

    for work, error in ((clash, ConflictError), (mistake, ZeroDivisionError)):
        with pytest.raises(error):
            work()

    assert [shown.command.kind for shown in mirror.queue.commands()] == ["create_task"]
    assert mirror.create_task("annotation", {"batch": "B", "n": 3}).new


def test_a_caught_error_takes_back_only_its_own_call(mirror: Mirror) -> None:
    """A transaction goes on after a refused call; of refused tasks none is in it."""
    with mirror.transaction() as tx:
        tx.create_batch("B", "P")
        with pytest.raises(SubmissionError) as caught:
            tx.create_tasks("annotation", [{"n": 1}, {"unique_id": 7}, {"n": 3}])
        tx.finalize_batch("B")
        with pytest.raises(BatchSealedError):
            tx.create_task("annotation", {"batch": "B"})

    assert [problem.number for problem in caught.value.problems] == [2]
    assert [shown.command.kind for shown in mirror.queue.commands()] == ["create_batch", "finalize_batch"]


def test_commands_and_the_callers_rows_are_committed_together(
    mirror: Mirror, engine: sqlalchemy.Engine, server: SandboxServer
) -> None:
    """Through an engine that knows nothing of ours; what was queued so is sent as it was given."""
    body = {"unique_id": "u", "numbers": [1, 2.5, 12345678901234567890, True, None], "text": 'é "\\" 東京'}
    with engine.begin() as conn:
        conn.execute(sqlalchemy.text("INSERT INTO mine VALUES (1)"))
        with mirror.transaction(conn) as tx:
            queued = tx.create_task("textcollection", body)
            again = tx.create_task("textcollection", body)
            tx.create_tasks("textcollection", [{"n": 1}, {"n": 2}])
    assert (queued.new, again.new, count(engine, "mine"), count(engine, "commands")) == (True, False, 1, 3)
    assert queued.command_id is not None
    assert json.loads(mirror.queue.show(queued.command_id).shown.command.payload)["body"] == body
    assert mirror.dispatch().delivered == 3
    assert server.backend.applied.count("unique_id", "u", "created") == 1


def test_the_callers_rollback_takes_the_commands_with_it(mirror: Mirror, engine: sqlalchemy.Engine) -> None:
    """And an error in the block leaves the caller's own rows to the caller."""

    def late(conn: sqlalchemy.Connection) -> None:
        with mirror.transaction(conn) as tx:
            tx.finalize_batch("B")
            tx.create_task("annotation", {"batch": "B"})

    with engine.connect() as conn:
        with mirror.transaction(conn) as tx:
            tx.create_batch("B", "P")
        conn.rollback()
        conn.execute(sqlalchemy.text("INSERT INTO mine VALUES (1)"))
        with pytest.raises(BatchSealedError):
            late(conn)
        conn.commit()

    assert (count(engine, "mine"), count(engine, "commands"), count(engine, "batch_seals")) == (1, 0, 0)


def test_a_connection_to_something_else_is_said_to_be_one(offline: Mirror, tmp_path: Path) -> None:
    """A sentence instead of the driver's complaint."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'else.db'}")
    with (
        engine.connect() as conn,
        pytest.raises(DatabaseError, match="no mirror's tables"),
        offline.transaction(conn) as tx,
    ):
        tx.finalize_batch("B")
    engine.dispose()


def test_errors_of_the_api_have_its_code_and_its_words(mirror: Mirror) -> None:
    """Whether they come at once, as from a read, or later, as from a command."""
    with pytest.raises(ScaleResourceNotFound) as missing:
        mirror.batch_status("none")
    refused = mirror.create_task("imageannotation", {"n": 1})
    summary = mirror.dispatch()

    assert refused.command_id is not None
    with pytest.raises(ScaleInvalidRequest) as dead:
        mirror.queue.result(refused.command_id)
    assert (missing.value.code, bool(missing.value.message)) == (404, True)
    assert (summary.dead, dead.value.code, "attachment" in dead.value.message) == (1, 400, True)


def test_the_queue_is_seen_and_mended(mirror: Mirror) -> None:
    """Listing, show, why, result, retry, discard, pause, resume, distrust, reconcile."""
    queue = mirror.queue
    mirror.create_task("imageannotation", {"batch": "B", "project": "P", "n": 1})
    mirror.finalize_batch("B")
    assert [shown.display for shown in queue.commands()] == [DisplayState.READY, DisplayState.BLOCKED]
    assert [shown.command.id for shown in queue.why(2)] == [2, 1]
    assert queue.result(1) is None

    for seconds in (0, 0.001, -5, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="at least one second"):
            queue.pause(seconds=seconds)
    assert queue.pause(reason="lunch").paused
    assert mirror.dispatch().ended == "paused"
    queue.resume()
    assert mirror.dispatch().dead == 1
    assert [shown.command.id for shown in queue.commands(state="dead", kind="create_task", batch="B")] == [1]
    assert queue.retry([1]) == [1]
    assert mirror.dispatch().dead == 1
    assert queue.retry_dead() == [1]
    assert queue.distrust() == 2
    assert mirror.reconcile(timeout=5).looks > 0
    answers = queue.discard([1, 1])
    assert [answer.answer for answer in answers] in ([DiscardAnswer.DISCARDED], [DiscardAnswer.REQUESTED])
    story = queue.show(1)
    assert {"send", "retry", "distrust"} <= {attempt.step for attempt in story.attempts}
    with pytest.raises(QueueError, match="no command 99"):
        queue.show(99)
    with pytest.raises(ValueError, match="lost"):
        list(queue.commands(state="lost"))


def test_everything_that_queues_works_without_key_and_api(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs a key says so."""
    monkeypatch.delenv("SCALE_API_KEY", raising=False)
    keyless = Mirror(sqlite_url, api_url=AWAY)

    keyless.cancel_task("65a1b2c3d4e5f60718293a4b")
    assert keyless.create_task("annotation", {"n": 1, "batch": "B"}, priority=-1).new
    assert not keyless.create_task("annotation", {"n": 1, "batch": "B"}).new
    assert keyless.create_task("annotation", {"n": 1, "batch": "B"}, allow_duplicates=True).new
    assert len(keyless.cancel_batch("B").withdrawn) == 2
    assert keyless.status().queue.open == 1
    with pytest.raises(ConfigurationError, match="No API key"):
        keyless.dispatch()


@pytest.mark.parametrize("rate", [0.001, 1e308, float("nan")])
def test_a_rate_out_of_bounds_sends_nothing_and_pauses_nobody(mirror: Mirror, rate: float) -> None:
    """It is refused before anything is claimed."""
    mirror.create_project("P", "textcollection", {"instruction": "old"})
    with pytest.raises(ConfigurationError, match=r"from 0\.05 to 1,000,000"):
        mirror.dispatch(rate=rate)

    assert [shown.command.sends for shown in mirror.queue.commands()] == [0]
    assert not mirror.queue.depth()[1].paused


def test_an_api_that_is_away_ends_a_dispatch_and_loses_nothing(offline: Mirror) -> None:
    """The summary says why."""
    offline.create_task("annotation", {"n": 1})

    summary = offline.dispatch(patience=0.3)

    assert (summary.ended, summary.error is not None, offline.status().queue.open) == ("unreachable", True, 1)


def test_reading_by_filters(shared_sandbox: SandboxServer, sqlite_url: str) -> None:
    """Documents as the API sent them, by every filter that there is."""
    mirror = Mirror(sqlite_url, api_key=LIVE_KEY, api_url=shared_sandbox.url)
    assert mirror.sync(workers=4).complete
    tasks = list(mirror.tasks())
    some = next(task for task in tasks if task.get("unique_id") and task.get("batch"))
    middle = datetime(2100, 1, 1, tzinfo=UTC)

    assert mirror.task(some["task_id"]) == some
    assert list(mirror.tasks(unique_id=some["unique_id"], project=some["project"])) == [some]
    assert some in list(mirror.tasks(batch=some["batch"], type=some["type"], status=some["status"]))
    reviewed = {task["task_id"] for task in tasks if task.get("customer_review_status") == "accepted"}
    assert {task["task_id"] for task in mirror.tasks(customer_review_status="accepted")} == reviewed != set()
    assert (len(tasks), list(mirror.tasks(since=middle)), len(list(mirror.tasks(limit=3)))) == (1000, [], 3)
    assert mirror.batch(some["batch"]) in list(mirror.batches(project=some["project"]))
    assert mirror.project(some["project"]) in list(mirror.projects())
    assert (mirror.task("none"), mirror.batch("none"), mirror.project("none")) == (None, None, None)
    assert mirror.status().counts["tasks"].here == 1000
    assert [finding.ok for finding in mirror.check()] == [True] * 5


def test_a_stream_that_is_not_one_is_refused(offline: Mirror) -> None:
    """Instead of being left out in silence."""
    with pytest.raises(ConfigurationError, match="'annotations'"):
        offline.sync("annotations")


def test_the_environment_gives_key_and_address(
    sqlite_url: str, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the command line; the key shows in no repr."""
    monkeypatch.setenv("SCALE_API_KEY", LIVE_KEY)
    monkeypatch.setenv("SCALESYNC_API_URL", server.url)
    mirror = Mirror(sqlite_url)

    assert mirror.sync("projects").complete
    assert (LIVE_KEY in repr(mirror), server.url in repr(mirror)) == (False, True)


def test_a_new_mirror_is_made_in_a_directory(tmp_path: Path, server: SandboxServer) -> None:
    """By the path of an SQLite file, text or Path."""
    mirror = Mirror(tmp_path / "new.db", api_key=LIVE_KEY, api_url=server.url)
    with pytest.raises(DatabaseError, match="No mirror"):
        mirror.status()

    mirror.init()

    assert Mirror(str(tmp_path / "new.db"), api_url=server.url).status().queue.open == 0


# Names of before -------------------------------------------------------------------------------------------


def test_names_of_before_still_work_and_say_what_they_are_called_now(
    mirror: Mirror, engine: sqlalchemy.Engine
) -> None:
    """Errors, `within` and `listing`: a program written for them runs on, with a DeprecationWarning."""
    with pytest.warns(DeprecationWarning, match="DatabaseUnavailableError"):
        assert scalesync.errors.DatabaseAwayError is scalesync.errors.DatabaseUnavailableError
    with pytest.raises(AttributeError):
        scalesync.errors.NeverThere  # noqa: B018
    with (
        engine.begin() as conn,
        pytest.warns(DeprecationWarning, match="transaction"),
        mirror.within(conn) as tx,
    ):
        tx.create_task("textcollection", {"unique_id": "old"})
    with pytest.warns(DeprecationWarning, match="commands"):
        assert len(list(mirror.queue.listing())) == 1
