"""`scalesync prune`: what would go, what went, and that everything goes on afterwards."""

import signal
from pathlib import Path

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Scalesync, check_refusal, execute

AGED = {
    "runs": ("started_at", "finished_at", "watermark_at"),
    "verifications": ("as_of",),
    "commands": ("created_at", "finished_at"),
    "replaced_responses": ("first_seen_at", "replaced_at"),
}


def age(path: Path) -> None:
    """Let everything that was recorded until now have happened half a year ago."""
    for table, columns in AGED.items():
        changed = ", ".join(
            f"{name} = strftime('%Y-%m-%dT%H:%M:%fZ', {name}, '-200 days')" for name in columns
        )
        execute(path, f"UPDATE {table} SET {changed}")


def rows(path: Path) -> dict[str, int]:
    """Return the rows of each table that may be pruned."""
    tables = ("windows", "runs", "command_attempts", "replaced_responses", "verifications")
    return {name: int(str(execute(path, f"SELECT count(*) FROM {name}")[0][0])) for name in tables}


def test_nothing_is_deleted_without_yes(mirror: Scalesync) -> None:
    """It says what would go, by table, and ends with 0; an own choice of kinds leaves the others out."""
    assert [mirror("sync", "--full").code for _ in range(2)] == [0, 0]
    age(mirror.mirror)
    before = rows(mirror.mirror)

    shown, asked = mirror("prune"), mirror("prune", "--json").json
    some = mirror("prune", "--json", "--kind", "attempts", "--older-than", "300d").json

    assert (shown.code, shown.err, before) == (0, "", rows(mirror.mirror))
    assert "Nothing was deleted: --yes deletes it." in shown.out
    tables = asked["tables"]
    assert isinstance(tables, list)
    assert {each["table"]: each["rows"] for each in tables}["runs"] == before["runs"] - 1 == 2
    assert (asked["deleted"], asked["stopped"]) == (False, False)
    assert some["tables"] == [{"kind": "attempts", "table": "command_attempts", "rows": 0, "bytes": None}]


def test_a_pruned_mirror_goes_on_as_before(sandbox: SandboxServer, empty_mirror: Scalesync) -> None:
    """Status, a sync of changes only, a verification, and what was delivered is not queued again."""
    mirror = empty_mirror.having(SCALESYNC_API_URL=sandbox.url)
    assert mirror("sync").code == 0
    create = ("task", "create", "annotation", "attachment=https://example.com/1.jpg", "unique_id=once")
    assert [mirror(*call).code for call in (create, ("dispatch",), ("verify",), ("sync", "--full"))] == [
        0
    ] * 4
    age(mirror.mirror)
    assert mirror("sync").code == 0
    assert mirror("verify").code == 0
    age(mirror.mirror)
    before, was = rows(mirror.mirror), mirror("status", "--json").json

    done = mirror("prune", "--yes", "--vacuum")

    now = mirror("status", "--json").json
    assert done.code == 0, done.err
    assert "Deleted what is older than " in done.out
    assert {name for name, left in rows(mirror.mirror).items() if left < before[name]} >= {
        "windows", "runs", "command_attempts", "verifications",
    }  # fmt: skip
    assert {name for name in now if now[name] != was[name]} <= {
        "runs",
        "behind_seconds",
        "replaced_responses",
    }
    again = mirror(*create, "--json").json
    assert (again["queued"], again["already_queued"]) == ([], [1])
    assert mirror("sync", "--dry-run", "--json").json["kind"] == "incremental"
    assert mirror("sync").code == 0
    assert mirror("verify", "--deep").code == 0


def test_wrong_choices_are_refused(mirror: Scalesync, postgres_url: str) -> None:
    """An unknown kind, an age that is none, and a vacuum where the server does it."""
    postgres = mirror.having(SCALESYNC_DB=postgres_url)

    check_refusal(mirror("prune", "--kind", "tasks"), 2, "tasks")
    check_refusal(mirror("prune", "--older-than", "soon"), 2, "soon")
    check_refusal(postgres("prune", "--vacuum"), 2, "Only an SQLite file", "autovacuum")
    assert postgres("prune", "--yes").code == 0


def test_a_stop_is_safe(mirror: Scalesync) -> None:
    """Ctrl-C ends it between two transactions, says so, and the next call goes on."""
    steps = "SELECT 1, 1, '2026-01-01T00:00:00.000Z', 'look', 'x' FROM n"
    counted = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
    assert mirror("task", "create", "annotation", "attachment=https://example.com/1.jpg").code == 0
    done = "state = 'delivered', finished_at = '2026-01-01T00:00:00.000Z'"
    execute(mirror.mirror, f"UPDATE commands SET {done}")
    names = "command_id, fence, at, step, outcome"
    execute(mirror.mirror, f"{counted} INSERT INTO command_attempts ({names}) {steps}")
    real = Scalesync(mirror.directory, mirror.variables)
    with real.started("-v", "prune", "--yes") as process:
        assert process.stderr is not None
        assert "pruned" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        ended = real.ended(process)

    left = rows(mirror.mirror)["command_attempts"]
    assert (ended.code, 0 < left < 300_000) == (130, True), ended.err
    assert "Stopped; what was deleted until then is gone." in ended.err
    assert (mirror("-q", "prune", "--yes").code, rows(mirror.mirror)["command_attempts"]) == (0, 0)
