"""The demo: the whole story in one command, without a key and without a network."""

import re
from pathlib import Path

from tests.cli.commands import Scalesync


def test_the_demo_tells_the_whole_story(scalesync: Scalesync) -> None:
    """Syncs, answers in SQL, work submitted without an API and done once, and a mirror that stays."""
    process = Scalesync(scalesync.directory, {"TMPDIR": str(scalesync.directory)})
    done = process("demo", "--tasks", "1000")

    assert done.code == 0, done.err
    first, second, offline = re.split("Annotators at work|Pull the plug", done.out)
    tables = [line.split() for line in first.splitlines() if line.startswith("tasks ")]
    changes = [line.split() for line in second.splitlines() if line.startswith("tasks ")]
    path = Path(next(line for line in done.out.splitlines() if line.endswith("scalesync.db")))
    assert [row[:3] for row in tables] == [["tasks", "1,000", "0"]]
    assert int(changes[0][2]) > 0
    assert second.count("SELECT") == 2
    assert "53 commands are open" in offline
    assert "53 of 53 were queued before" in offline
    doubt = re.search(r"(\d+) tasks may or may not be there", offline)
    assert doubt is not None
    assert int(doubt[1]) > 0
    counted = [line.split() for line in offline.splitlines() if " created " in line or " finalized " in line]
    assert counted == [
        ["batch", "created", "1", "1"],
        ["batch", "finalized", "1", "1"],
        ["project", "created", "1", "1"],
        ["unique_id", "created", "1", "50"],
    ]
    assert [line.split()[-4:-2] for line in offline.splitlines() if line.startswith("night 1")] == [
        ["50", "50"]
    ]
    assert "Street scenes" in done.out.split("SELECT")[1]
    assert path.is_relative_to(scalesync.directory)
    assert process("--db", path, "status").code == 0


def test_a_sandbox_that_cannot_start_says_why(scalesync: Scalesync) -> None:
    """A state file where none can be made; nothing is left running."""
    done = scalesync("sandbox", "--port", "0", "--state", "nowhere/at/all")

    assert (done.code, "The sandbox cannot start" in done.err) == (2, True)


def test_a_sandbox_says_where_it_is_and_stops_on_request(scalesync: Scalesync) -> None:
    """Its address can be pasted into a shell; SIGTERM ends it with 0."""
    with scalesync.started("sandbox", "--port", "0", "--tasks", "10") as process:
        assert process.stderr is not None
        process.stderr.readline()
        address = process.stderr.readline().split()[1].partition("=")[2]
        done = scalesync.having(SCALESYNC_API_URL=address)("check", "--json")
        process.terminate()
        stopped = process.wait(20)

    assert f"{address} answers" in done.out
    assert stopped == 0
