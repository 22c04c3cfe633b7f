"""Where the key comes from, what shows of it, and where it may travel."""

import json
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import keyring
import pytest

from scalesync import Mirror
from scalesync.cli.context import Context
from scalesync.errors import ConfigurationError
from scalesync.mirror.connections import Connections
from scalesync.queue.bulk_submit import TaskTemplate, validate
from scalesync.sandbox import SandboxOptions, SandboxServer
from scalesync.settings import KeyringSecret, SettingsInput, load_settings
from tests.support.cli_in_process import in_process
from tests.support.cli_process import Scalesync, check_refusal, execute, scalesync_in
from tests.support.fake_keyring import FILE, Failing, Written
from tests.support.sandboxes import LIVE_KEY

ROOT = Path(__file__).parents[1]
Start = Callable[..., SandboxServer]


@pytest.fixture(autouse=True)
def _another_keyring() -> Iterator[None]:
    """Put the keyring back that the library had."""
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def keyless(sqlite_template: Path, tmp_path: Path) -> Scalesync:
    """Return what runs commands beside an empty mirror, without a key and without an API."""
    (tmp_path / "scalesync.db").write_bytes(sqlite_template.read_bytes())
    return in_process(scalesync_in(tmp_path, "http://127.0.0.1:9/v1")).having(
        SCALE_API_KEY=None, SCALESYNC_PATIENCE="0"
    )


def held(path: Path, key: str) -> str:
    """Return a keyring's file that holds a key under `ours`."""
    path.write_text(json.dumps({"ours": {"api-key": key}}))
    return str(path)


# The keyring ------------------------------------------------------------------------------------------------


def test_a_key_from_the_keyring(shared_sandbox: SandboxServer, keyless: Scalesync) -> None:
    """A process of its own reads it where the keyring library's own variable says, and shows it nowhere."""
    real = Scalesync(keyless.directory, keyless.variables).having(
        SCALESYNC_API_URL=shared_sandbox.url,
        PYTHONPATH=str(ROOT),
        PYTHON_KEYRING_BACKEND="tests.support.fake_keyring.Written",
        **{FILE: held(keyless.directory / "ring.json", f" {LIVE_KEY}\n")},
    )

    done = real("-vv", "--api-key-keyring", "ours", "sync", "projects")

    assert (done.code, LIVE_KEY in done.out + done.err) == (0, False), done.err
    assert execute(keyless.mirror, "SELECT mode FROM mirror") == [("live",)]


def test_the_keyring_is_chosen_before_the_environment_and_never_opened_for_nothing(
    keyless: Scalesync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By option or variable, as a key file is; what needs no key opens none, and nobody else does either."""
    monkeypatch.setenv(FILE, held(keyless.directory / "ring.json", "test_from_keyring"))
    keyring.set_keyring(Written())
    chosen = keyless.having(SCALESYNC_API_KEY_KEYRING="ours", SCALE_API_KEY=LIVE_KEY)
    assert "a test key" in chosen("check").out
    assert "a live key" in keyless.having(SCALE_API_KEY=LIVE_KEY)("check").out

    keyring.set_keyring(ring := Failing())
    for command in ("status", "task list", "queue list"):
        assert chosen(*command.split()).code == 0
    for command in ("check", "sync", "init"):
        keyless(command)
    assert ring.asked == 0


@pytest.mark.parametrize(
    ("ring", "words"),
    [
        (Failing(), "cannot be read: It is locked."),
        (Failing(OSError()), "cannot be read: OSError."),
        (Failing(keyring.errors.NoKeyringError("No backend. See there.")), "No backend."),
    ],
    ids=["locked", "failing", "none"],
)
def test_a_keyring_that_cannot_be_read_ends_with_2(ring: Failing, words: str, keyless: Scalesync) -> None:
    """With one sentence and a way out, whatever its backend raises."""
    keyring.set_keyring(ring)
    for command in ("sync", "dispatch", "init"):
        check_refusal(keyless("--api-key-keyring", "ours", command), 2, words, "--api-key-file")


@pytest.mark.parametrize("key", ["", " \n"])
def test_a_keyring_without_the_key_says_how_to_put_it_there(
    key: str, keyless: Scalesync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing under that name, or nothing in it."""
    monkeypatch.setenv(FILE, held(keyless.directory / "ring.json", key))
    keyring.set_keyring(Written())
    for service in ("ours", "some one's"):
        done = keyless("--api-key-keyring", service, "sync")
        check_refusal(done, 2, "holds no API key", "keyring set")
    assert done.err.endswith("""`keyring set 'some one'"'"'s' api-key`.\n""")


def test_a_key_in_the_keyring_is_held_to_the_same(
    keyless: Scalesync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lines are no key, and are not shown."""
    monkeypatch.setenv(FILE, held(keyless.directory / "ring.json", f"{LIVE_KEY}\n{LIVE_KEY}"))
    keyring.set_keyring(Written())
    check_refusal(keyless("--api-key-keyring", "ours", "sync"), 2, "characters that no key has")


def test_without_its_package_the_keyring_says_what_to_install(
    keyless: Scalesync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    check_refusal(keyless("--api-key-keyring", "ours", "sync"), 2, "pip install '.[keyring]'")


def test_a_file_and_the_keyring_are_one_too_many(keyless: Scalesync) -> None:
    """Neither goes silently before the other."""
    done = keyless("--api-key-keyring", "ours", "--api-key-file", "key", "status")
    check_refusal(done, 2, "from a file and from the keyring", "Leave out")


# What shows -------------------------------------------------------------------------------------------------


def test_no_repr_shows_a_key_or_a_password(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, and whatever holds them; the database's URL may hold a password."""
    monkeypatch.setenv("KEYRING_FILE", held(Path(sqlite_url.removeprefix("sqlite:///") + "x"), LIVE_KEY))
    keyring.set_keyring(Written())
    url = "postgresql://someone:opensesame@127.0.0.1/x"
    settings = load_settings(SettingsInput(url), {"SCALE_API_KEY": LIVE_KEY})
    ringed = KeyringSecret("ours")
    assert (settings.require_key().reveal(), ringed.reveal()) == (LIVE_KEY, LIVE_KEY)
    context = Context(url, None, None, None, None, insecure_http=False, quiet=False)

    for value in (
        settings,
        Connections(settings),
        ringed,
        SettingsInput(url),
        context,
        Mirror(url, api_key=LIVE_KEY),
    ):
        for shown in (repr(value), str(value), f"{value!r}"):
            assert not [secret for secret in (LIVE_KEY, "opensesame") if secret in shown]


@pytest.mark.parametrize("url", ["https://{}:@h/v1", "https://h/v1?key={}", "https://[{}@h/v1#x", "{}@"])
def test_an_address_with_a_key_in_it_is_neither_kept_nor_shown(url: str, keyless: Scalesync) -> None:
    """Not by `init`, which would write it into the mirror, nor by Mirror."""
    for command in ("init", "status", "sync", "check"):
        keyed = keyless.having(SCALE_API_KEY=LIVE_KEY, SCALESYNC_API_URL=url.format(LIVE_KEY))
        check_refusal(keyed("-vv", command), 2, "may hold no user name")
    assert LIVE_KEY.encode() not in keyless.mirror.read_bytes()
    with pytest.raises(ConfigurationError) as caught:
        Mirror("x.db", api_url=url.format(LIVE_KEY))
    assert LIVE_KEY not in str(caught.value)


# Plain http -------------------------------------------------------------------------------------------------


@contextmanager
def elsewhere(server: SandboxServer) -> Iterator[str]:
    """Yield an address of a sandbox that is none of this machine by its spelling, and without proxies."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "0.0.0.0")
        environment.setenv("no_proxy", "0.0.0.0")
        yield server.url.replace("127.0.0.1", "0.0.0.0")


def test_plain_http_to_another_machine_takes_a_word_of_its_own(
    start_sandbox: Start, keyless: Scalesync
) -> None:
    """Without it nothing is sent, by no command; with it each warns on stderr, and goes on."""
    server = start_sandbox(tasks=30)
    with elsewhere(server) as url:
        keyed = keyless.having(SCALE_API_KEY=LIVE_KEY, SCALESYNC_API_URL=url)
        for command in ("sync", "dispatch", "fetch-results", "queue reconcile", "batch status x"):
            check_refusal(keyed(*command.split()), 2, "unencrypted to 0.0.0.0", "--insecure-http")
        assert keyed("check").code == 2
        assert sum(server.backend.requests.values()) == 0

        for command in ("sync --results --allow-private", "dispatch", "check"):
            done = keyed("--insecure-http", *command.split())
            assert (done.code, "Warning: The API key goes unencrypted to 0.0.0.0" in done.err) == (0, True)
        quiet = keyed.having(SCALESYNC_INSECURE_HTTP="1")("-q", "sync")
        assert (quiet.code, quiet.err) == (0, "")


def test_plain_http_to_another_machine_from_python(start_sandbox: Start, sqlite_url: str) -> None:
    """The same for Mirror."""
    with elsewhere(start_sandbox()) as url:
        with pytest.raises(ConfigurationError, match="unencrypted"):
            Mirror(sqlite_url, api_key=LIVE_KEY, api_url=url).sync()
        assert Mirror(sqlite_url, api_key=LIVE_KEY, api_url=url, insecure_http=True).sync().complete


def test_to_this_machine_there_is_nothing_to_warn_of(start_sandbox: Start, keyless: Scalesync) -> None:
    """Plain http to the loopback stays on the machine, with the word or without."""
    keyed = keyless.having(SCALE_API_KEY=LIVE_KEY, SCALESYNC_API_URL=start_sandbox().url)
    assert "Warning" not in keyed("--insecure-http", "sync").err + keyed("sync").err


# Files ------------------------------------------------------------------------------------------------------


def modes(directory: Path) -> dict[str, int]:
    """Return the mode of every file and directory below a directory, by name."""
    return {
        str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*")
    }


@pytest.fixture
def _no_umask() -> Iterator[None]:
    """Have nothing taken from the mode that a file is made with."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_no_umask")
def test_whatever_is_written_is_its_owners_alone(shared_sandbox: SandboxServer, tmp_path: Path) -> None:
    """The mirror with what SQLite puts beside it, exports of each form, and a sandbox's state."""
    scalesync = in_process(scalesync_in(tmp_path, shared_sandbox.url))
    assert scalesync("init").code == 0
    with closing(sqlite3.connect(scalesync.mirror)) as reader:
        reader.execute("SELECT * FROM mirror").fetchall()  # keeps the files beside it from being removed
        assert scalesync("sync").code == 0
        for words in ("-o a.jsonl", "--format csv -o a.csv", "--format parquet --partition -o lake"):
            assert scalesync("export", "tasks", "--limit", "9", *words.split()).code == 0
        with SandboxServer(SandboxOptions(tasks=5, state=tmp_path / "state.db")):
            found = modes(tmp_path)
    names = "scalesync.db scalesync.db-wal scalesync.db-shm a.jsonl a.csv lake state.db state.db-wal"
    assert [name for name in names.split() if name not in found] == []
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


def nameless() -> dict[str, int]:
    """Return the mode of every file that is open in this process and has no name any more."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and str(link.readlink()).endswith("(deleted)"):
            found[str(link.readlink())] = stat.S_IMODE(link.stat().st_mode)
    return found


@pytest.mark.usefixtures("_no_umask")
def test_what_is_kept_while_a_submission_is_read_is_its_owners_alone() -> None:
    """The copy on disk has no name, and no mode for others."""
    before = nameless()
    with validate([{"attachment": "x"}], TaskTemplate("annotation")):
        assert [mode for name, mode in nameless().items() if name not in before] == [0o600]


def test_a_mirror_that_others_can_read_is_said_by_check(keyless: Scalesync) -> None:
    """With what to do about it; a mirror that `init` made has no such word."""
    keyless.mirror.chmod(0o644)
    assert "others may read it" in keyless("check").out.splitlines()[0]
    keyless.mirror.chmod(0o600)
    assert "may read it" not in keyless("check").out
