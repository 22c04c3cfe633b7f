"""A claim reads the few rows it needs, whatever the queue and its history hold."""

from typing import Any

from sqlalchemy import event

from scalesync.db.database import Database
from scalesync.db.queue import claim_arm_settle, pause
from scalesync.models.commands import CommandState, Outcome, Settlement
from scalesync.queue import new_commands
from tests.support.claims import LEASE, arm, claim, settle
from tests.support.commands import put_all, task

FREED = Settlement(CommandState.DELIVERED, Outcome.APPLIED, frees_key=True)


def statements(database: Database) -> list[tuple[str, Any]]:
    """Return what a claim, the whole of it, an arming, a settling and a look at what is due run."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "WITH"}:
            seen.append((statement, parameters))

    engine = database._engine  # noqa: SLF001 - the statements are seen there only
    event.listen(engine, "before_cursor_execute", note)
    try:
        with database.write() as conn:
            claim_arm_settle.owners(conn)
            claim_arm_settle.claim(conn, owner="me", lease=LEASE, limit=3, only=[7])
            claim_arm_settle.claim(conn, owner="me", lease=LEASE, limit=1, looking_only=True, only=[7])
        one, *_ = claim(database, 50)
        arm(database, one)
        settle(database, one, FREED)
        with database.read() as conn:
            pause.next_due(conn)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return seen


def plan(database: Database, statement: str, parameters: Any) -> str:
    """Return how the database would run a statement; Postgres as on a large table, where a scan is dear."""
    with database.write() as conn:
        if database.is_sqlite:
            rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return "\n".join(row[3] for row in rows)
        conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in conn.exec_driver_sql(f"EXPLAIN {statement}", parameters))


def test_no_statement_of_a_claim_reads_the_whole_table(database: Database) -> None:
    """Every one has an index to go by, before and after the database counted its rows."""
    put_all(
        database,
        [new_commands.create_batch("b", "p"), new_commands.update_project("p", {}), *map(task, "cdefg")],
    )
    put_all(database, (task(f"b{n}", "b") for n in range(9)))
    seen = statements(database)
    assert len(seen) >= 12
    for _ in range(2):
        for statement, parameters in seen:
            shown = plan(database, statement, parameters)
            assert "Seq Scan on commands" not in shown, (statement, shown)
            scans = [line for line in shown.splitlines() if line.startswith("SCAN ")]
            tables = (
                "commands",
                "waiting",
                "free",
                "timed",
                "head",
                "member",
                "placed",
                "grouped",
                "earlier",
                "file",
            )
            for line in scans:
                assert line.split()[1] not in tables or " USING " in line, (statement, shown)
        with database.write() as conn:
            conn.exec_driver_sql("ANALYZE")


def test_a_claim_reads_far_only_where_the_front_has_too_little(database: Database) -> None:
    """A front with enough to claim is read only that far."""
    put_all(database, map(task, "abcd"))
    with database.write() as conn:
        counted: list[str] = []
        event.listen(conn, "before_cursor_execute", lambda *given: counted.append(given[2]))
        claim_arm_settle.claim(conn, owner="me", lease=LEASE, limit=2)
        assert not [one for one in counted if "named" in one]
        claim_arm_settle.claim(conn, owner="me", lease=LEASE, limit=3)
        assert [one for one in counted if "named" in one]
