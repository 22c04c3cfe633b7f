"""What a person gets wrong: the command line, the environment, the key."""

from collections.abc import Callable

import pytest

from scalesync.sandbox import SandboxServer
from tests.support.cli_process import Scalesync, check_refusal
from tests.support.sandboxes import LIVE_KEY

Start = Callable[..., SandboxServer]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("sync --since 2026-13-01", "--since"),
        ("sync --until yesterday", "2026-11-23T08:30:00Z"),
        ("sync --since 0001-01-01", "is not a time"),
        ("sync --until 9999-12-31T23:59:59.9999", "is not a time"),
        ("sync --since 2026-02-01 --until 2026-01-01", "lies after"),
        ("sync --workers 0", "--workers"),
        ("sync --lookback 15x", "15m, 2h"),
        ("sync --lookback 900000d", "too long"),
        ("sync --time-limit soon", "--time-limit"),
        ("sync annotations", "'projects', 'batches', 'tasks'"),
        ("--patience 1y sync", "--patience"),
        ("sync --project=", "--project"),
        ("batch list --batch one", "No such option"),
        ("export projects --status completed", "--status does not apply to projects"),
        ("export windows", "'tasks', 'batches', 'projects'"),
        ("export batches --format xml", "'jsonl', 'csv', 'parquet'"),
        ("export batches --format coco", "made of tasks"),
        ("export tasks --partition -o there", "Add --format parquet"),
        ("export tasks --format parquet --partition", "Name it with -o"),
        ("sql", "Missing argument"),
        ("sql --timeout soon SELECT", "--timeout"),
        ("task list --limit=-1", "--limit"),
        ("export tasks --limit 99999999999999999999", "--limit"),
        ("changes --since-id 99999999999999999999", "--since-id"),
        ("sandbox --fault often", "KIND:CHANCE%"),
        ("sandbox --fault 500:200%", "more than 100%"),
        ("sandbox --latency -1ms", "KIND:CHANCE%"),
        ("sandbox --annotate nan", "annotate is a number"),
        ("sandbox --switch total_cap=many", "total_cap is a number"),
        ("sandbox --switch nothing=new", "name=value"),
        ("--db mysql://user@host/name status", "postgresql://"),
        ("--db postgresql://user:pa:ss@host:port/x status", "database URL cannot be read"),
    ],
)
def test_a_command_that_cannot_be_understood_ends_with_2(
    arguments: str, words: str, scalesync: Scalesync
) -> None:
    """The sentence names what is wrong, and nothing is made."""
    check_refusal(scalesync(*arguments.split()), 2, words)

    assert list(scalesync.directory.iterdir()) == []


@pytest.mark.parametrize("command", ["sync", "check", "init --adopt", "batch status one"])
def test_without_a_key_commands_that_need_one_say_where_to_put_it(command: str, mirror: Scalesync) -> None:
    """Exit code 2; `check` says it among other findings."""
    done = mirror.having(SCALE_API_KEY=None)(*command.split())

    assert (2, "Traceback" in done.err) == (done.code, False)
    assert "Set SCALE_API_KEY, or name a file with --api-key-file." in done.out + done.err


def test_without_a_key_whatever_asks_only_the_mirror_works(synced: Scalesync) -> None:
    """Status, lists and exports need none."""
    keyless = synced.having(SCALE_API_KEY=None)

    codes = [keyless(*words.split()).code for words in ("status", "project list", "export batches")]

    assert codes == [0, 0, 0]


def test_a_wrong_key_ends_with_3(start_sandbox: Start, empty_mirror: Scalesync) -> None:
    """The API's own word (401) is in the sentence, the key is not."""
    server = start_sandbox(keys=frozenset({"live_right"}))
    refused = empty_mirror.having(SCALESYNC_API_URL=server.url)

    check_refusal(refused("sync"), 3, "401")
    assert refused("check").code == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe\x00", "not text")],
)
def test_a_key_file_that_holds_no_key_is_named(
    content: bytes | None, words: str, scalesync: Scalesync
) -> None:
    """Missing, empty or not text: exit code 2."""
    path = scalesync.directory / "key"
    if content is not None:
        path.write_bytes(content)

    check_refusal(scalesync("--api-key-file", path, "sync"), 2, str(path), words)


def test_a_directory_as_key_file_is_named(scalesync: Scalesync) -> None:
    """It cannot be read, whoever runs the command."""
    check_refusal(scalesync("--api-key-file", scalesync.directory, "sync"), 2, "cannot be read")


def test_a_key_of_two_lines_is_refused_without_showing_it(scalesync: Scalesync) -> None:
    """A key that cannot stand in a header never gets that far."""
    two = scalesync.having(SCALE_API_KEY=f"{LIVE_KEY}\n{LIVE_KEY}")

    check_refusal(two("sync"), 2, "characters that no key has")


def test_a_key_file_that_others_can_read_is_worth_a_warning(mirror: Scalesync) -> None:
    """The command works all the same; with mode 600 it says nothing."""
    path = mirror.directory / "key"
    path.write_text(f"{LIVE_KEY}\n")
    keyless = mirror.having(SCALE_API_KEY=None)
    path.chmod(0o644)
    warned = keyless("--api-key-file", path, "sync", "projects")
    path.chmod(0o600)
    silent = keyless("--api-key-file", path, "-q", "sync", "projects")

    assert (warned.code, "chmod 600" in warned.err) == (0, True)
    assert (silent.code, silent.out, silent.err) == (0, "", "")


def test_an_unreachable_api_ends_with_4(mirror: Scalesync) -> None:
    """Within the patience asked for; the mirror is as it was."""
    away = mirror.having(SCALESYNC_API_URL="http://127.0.0.1:9/v1")

    done = away("--patience", "1s", "sync")

    check_refusal(done, 4, "127.0.0.1:9", "network")
    assert "trying again in" in done.err


def test_a_host_without_a_name_ends_with_4(mirror: Scalesync) -> None:
    """A name that does not resolve is an unreachable API, too."""
    away = mirror.having(SCALESYNC_API_URL="https://nowhere.invalid/v1")

    check_refusal(away("--patience", "0", "sync"), 4, "nowhere.invalid")


def test_plain_http_to_another_machine_is_refused(mirror: Scalesync) -> None:
    """The key would travel in the open: exit code 2, and nothing is sent."""
    away = mirror.having(SCALESYNC_API_URL="http://api.example.com/v1")

    check_refusal(away("sync"), 2, "unencrypted", "https://")


def test_an_unknown_project_ends_with_2(mirror: Scalesync) -> None:
    """And with the way to the names that there are."""
    check_refusal(mirror("sync", "--project", "No such"), 2, "'No such'", "project list")
    assert mirror("status", "--json").json["open_windows"] == 0


def test_what_the_mirror_does_not_hold_is_not_shown(synced: Scalesync) -> None:
    """`show` of an unknown key ends with 1, for a sync may bring it."""
    check_refusal(synced("task", "show", "none"), 1, "none is not in the mirror's tasks", "scalesync sync")


def test_a_bad_lease_is_named_by_its_variable(synced: Scalesync) -> None:
    """Variables without an option are held to the same."""
    check_refusal(synced.having(SCALESYNC_LEASE="long")("status"), 2, "SCALESYNC_LEASE", "30s")


@pytest.mark.parametrize(
    "line",
    ["--db other.db -q {}", "{} --db other.db -q", "--db no.db {} -q --db other.db", "-q {} --db=other.db"],
)
@pytest.mark.parametrize("command", ["status", "task list", "queue list"])
def test_global_options_are_taken_before_and_after_the_command(
    line: str, command: str, empty_mirror: Scalesync
) -> None:
    """What stands after it counts; `task --db other.db list` does as well."""
    empty_mirror.mirror.rename(empty_mirror.directory / "other.db")

    assert empty_mirror(*line.format(command).split()).code == 0
    check_refusal(empty_mirror(*command.split()), 5, "scalesync.db")


def test_global_options_after_the_command_mean_the_same(
    empty_mirror: Scalesync, shared_sandbox: SandboxServer
) -> None:
    """The API's address, how long to try, and how much is said."""
    away = ("--api-url", "http://127.0.0.1:9/v1", "--patience", "0")
    check_refusal(empty_mirror("sync", *away), 4, "127.0.0.1:9")
    check_refusal(empty_mirror("task", "--db", "no.db", "list"), 5, "no.db")
    loud = empty_mirror("sync", "projects", "-vv", "--api-url", shared_sandbox.url)
    silent = empty_mirror("sync", "projects", "--api-url", shared_sandbox.url, "--quiet")
    assert ("debug scalesync.api" in loud.err, silent.out + silent.err) == (True, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--json status", "`scalesync status --json`"),
        ("--json task list", "`scalesync task list --json`"),
        ("task --json list", "scalesync task"),
        ("--since 7d export tasks", "`scalesync export --since`"),
        ("queue --state dead list", "`scalesync queue list --state`"),
    ],
)
def test_an_option_of_a_command_before_its_name_is_told_where_it_belongs(
    line: str, words: str, scalesync: Scalesync
) -> None:
    """Instead of another option's name."""
    check_refusal(scalesync(*line.split()), 2, "belongs after the command's name", words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("queue why abc", "'abc' is not a whole number"),
        ("queue show 0", "0 is less than 1"),
        ("queue discard 1 x", "'x' is not a whole number"),
        ("task list --limit many", "'many' is not a whole number"),
        ("sync --workers 65", "65 is more than 64"),
        ("sandbox --port 99999", "99999 is more than 65535"),
    ],
)
def test_a_number_that_is_none_gets_one_sentence(line: str, words: str, scalesync: Scalesync) -> None:
    """Without the names of our types, and no help shows a bound that nobody reaches."""
    check_refusal(scalesync(*line.split()), 2, words)
    assert "<=" not in scalesync(*line.split()[:-1], "--help").out


def test_bytes_that_are_no_text_are_refused(empty_mirror: Scalesync) -> None:
    """As a name, in every command; no database and no request could hold them."""
    names = (
        "task list --project",
        "batch show",
        "sync --project",
        "queue list --batch",
        "queue pause --reason",
    )
    others = "export tasks --status", "task cancel --batch", "batch create b --project"
    for line in names + others:
        check_refusal(empty_mirror(*line.split(), "\udcff"), 2, "is not text in UTF-8")
