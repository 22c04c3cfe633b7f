"""Upgrades that die or fail at any statement: the old schema, and all that is in it, is as before."""

from scalesync.db.database import Database
from tests.db.test_annotations import annotated, boxes, labels
from tests.support.databases import downgrade
from tests.support.interrupted_upgrades import FAILED, KILLED, interrupted_upgrades


def test_an_upgrade_may_die_or_fail_at_any_statement(database: Database, database_url: str) -> None:
    """From an older schema with rows in it: nothing of it happened, and the last one does all of it."""
    for number in range(30):
        annotated(database, task_id=f"t{number:02}", response=boxes("car"))
    with database.write() as conn:
        downgrade(conn, "0002")

    *ended, last = interrupted_upgrades(database_url)

    assert [(end.statement, end.code) for end in ended[:2]] == [
        ("INSERT INTO annotations", KILLED),
        ("INSERT INTO annotations", FAILED),
    ]
    assert {end.code for end in ended[2:]} == {KILLED, FAILED}
    assert {end.likeness[:5] for end in ended} == {"0002 "}
    assert len({end.likeness for end in ended}) == 1
    assert last.code == 0
    assert labels(database) == [(f"t{number:02}", 0, "car") for number in range(30)]
