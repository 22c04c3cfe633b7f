"""The demo: the whole story in one command, without a key and without a network."""

from pathlib import Path

from tests.cli.commands import Scalesync


def test_the_demo_tells_the_whole_story(scalesync: Scalesync) -> None:
    """A first sync, what annotators changed, two answers in SQL, and a mirror that stays."""
    keyless = scalesync.having(SCALE_API_KEY=None, TMPDIR=str(scalesync.directory))
    done = keyless("demo", "--tasks", "1000")

    assert done.code == 0, done.err
    first, second = done.out.split("Annotators at work")
    tables = [line.split() for line in first.splitlines() if line.startswith("tasks ")]
    changes = [line.split() for line in second.splitlines() if line.startswith("tasks ")]
    path = Path(next(line for line in done.out.splitlines() if line.endswith("scalesync.db")))
    assert [row[:3] for row in tables] == [["tasks", "1,000", "0"]]
    assert int(changes[0][2]) > 0
    assert done.out.count("SELECT") == 2
    assert "Street scenes" in done.out.split("SELECT")[1]
    assert path.is_relative_to(scalesync.directory)
    assert keyless("--db", path, "status").code == 0


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
