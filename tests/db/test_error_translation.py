"""What the complaints of databases and drivers become: a sentence, and what to do."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from scalesync.db.database import Database
from scalesync.db.schema.sync import watermarks
from scalesync.errors import ConfigurationError, DatabaseError
from tests.db.test_database import add, count, refusal
from tests.db.test_upserts import NOON
from tests.support.databases import PostgresServer, opened


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    """A directory in place of the file is named as such."""
    assert "is a directory" in refusal(f"sqlite:///{tmp_path}", create=True).message


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A path below a file, or in no directory, cannot be made and says why."""
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal(f"sqlite:///{tmp_path}/file/mirror.db", create=True).message
    assert "No such file" in refusal(f"sqlite:///{tmp_path}/none/mirror.db", create=True).message


def test_a_file_of_another_user_is_an_error(sqlite_template: Path) -> None:
    """A file that this user may not write is refused at once (as nobody where the tests run as root)."""
    program = (
        "import os, sys\n"
        "from scalesync.db.database import Database\n"
        "from scalesync.errors import DatabaseError\n"
        "Database.open('sqlite:///' + sys.argv[1]).close()\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: Database.open('sqlite:///' + sys.argv[2])\n"
        "except DatabaseError as error: print(error.message)"
    )
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = Path(directory) / "foreign.db"
        shutil.copyfile(sqlite_template, path)
        path.chmod(0o444)
        said = subprocess.check_output(
            [sys.executable, "-W", "error", "-c", program, str(sqlite_template), str(path)], text=True
        )
    assert said == (
        f"{path} may not be read and written by this user, or its disk is mounted for reading only.\n"
    )


def test_another_kind_of_file_is_no_database(tmp_path: Path) -> None:
    """A file that SQLite does not know is named as such, and left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    started = time.monotonic()
    assert "is not an SQLite database" in refusal(f"sqlite:///{path}").message
    assert time.monotonic() - started < 10
    assert path.read_text() == "not a database " * 100


def test_a_full_disk_loses_only_the_transaction_in_hand(sqlite_url: str) -> None:
    """A full disk is called that; what was committed is there, and writing goes on once there is room."""
    with opened(sqlite_url) as database:
        add(database, "before")
        with database.write() as conn:
            conn.execute(text("PRAGMA max_page_count = 40"))
        much = [{"stream": f"{number:01000}", "at": NOON} for number in range(1_000)]
        with pytest.raises(DatabaseError, match="is full") as caught, database.write() as conn:
            conn.execute(insert(watermarks), much)
        assert "Make room" in caught.value.advice
        assert count(database) == 1
        with database.write() as conn:
            conn.execute(text("PRAGMA max_page_count = 1000000"))
        add(database, "after")
        assert count(database) == 2


def test_a_locked_file_says_so(sqlite_url: str) -> None:
    """Where another program holds the lock for too long, the sentence says that."""
    with opened(sqlite_url) as database:
        with database.write() as conn:
            conn.execute(text("PRAGMA busy_timeout = 50"))
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseError, match="locked"):
                add(database, "tasks")
        finally:
            other.close()
        add(database, "tasks")


def test_a_missing_table_leads_to_init(empty_database_url: str) -> None:
    """A database without our tables is told by its first use, with the command that makes them."""
    error = refusal(empty_database_url, create=True)
    assert "no mirror's tables" in error.message
    assert "scalesync init" in error.advice


def test_anything_else_is_one_line_without_values(database: Database) -> None:
    """An error without words of ours gives the driver's first line, and none of the values bound to it."""
    add(database, "s3cret")
    with pytest.raises(DatabaseError) as caught, database.write() as conn:
        conn.execute(insert(watermarks).values(stream="s3cret", at=NOON))
    assert "unique" in caught.value.message.lower()
    assert "s3cret" not in caught.value.message
    assert "SQL parameters hidden" in str(caught.value.__cause__)
    assert "\n" not in caught.value.message


def test_a_lost_connection_is_replaced(postgres_url: str) -> None:
    """A server that cut a connection is told as such, and the next transaction works again."""
    with opened(postgres_url) as database:
        with pytest.raises(DatabaseError, match="was lost"), database.write() as conn:
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert count(database) == 0


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A refused connection, by network or by socket, names the address, never the password."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        urls = (
            f"postgresql://jo:s3cret@127.0.0.1:{unused.getsockname()[1]}/mirror?connect_timeout=5",
            f"postgresql://jo:s3cret@/mirror?host={tmp_path}",
        )
        for url in urls:
            error = refusal(url)
            assert "Cannot connect to postgresql+psycopg://jo:***@" in error.message
            assert "s3cret" not in f"{error.message} {error.advice} {error.__cause__}"


def test_an_unknown_database_or_user_is_an_error(postgres_server: PostgresServer) -> None:
    """A server without the database or the user says which."""
    url = postgres_server.url("nowhere")
    assert 'database "nowhere" does not exist' in refusal(url).message
    assert 'role "nobody" does not exist' in refusal(url.replace("//postgres:", "//nobody:s3cret")).message


def test_a_wrong_password_is_an_error(postgres_server: PostgresServer, postgres_url: str) -> None:
    """A refused password is called that, and stays out of the message."""
    with postgres_server.demanding_passwords():
        error = refusal(postgres_url.replace("//postgres:", "//postgres:s3cret"))
    assert "refused the user name or password" in error.message
    assert "s3cret" not in f"{error.message} {error.advice} {error.__cause__}"


def test_a_password_in_the_words_of_the_server_is_hidden(postgres_url: str) -> None:
    """Even a message of the server that repeats the password comes without it."""
    with opened(postgres_url.replace("//postgres:", "//postgres:s3cret")) as database:
        with pytest.raises(DatabaseError, match=r'"\*\*\*"') as caught, database.read() as conn:
            conn.execute(text("SELECT 's3cret'::integer"))
        assert "s3cret" not in caught.value.message


def test_passwords_are_never_shown() -> None:
    """Neither a password before the host nor one among the parameters is shown."""
    for url in (
        "postgresql://jo:s3cret@db.example/mirror",
        "postgresql://jo@db.example/mirror?password=s3cret&sslpassword=s3cret",
    ):
        with opened(url) as database:
            assert "s3cret" not in database.url_shown
            assert "***" in database.url_shown


@pytest.mark.parametrize(
    "url",
    [
        "mysql://jo:s3cret@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "s3cret",
        "postgresql+x://",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """A URL that is not of the two kinds is a mistake of the caller, and is not repeated in the message."""
    with pytest.raises(ConfigurationError) as caught:
        Database.open(url, create=True)
    assert "s3cret" not in caught.value.message
    assert "postgresql://" in caught.value.advice


def test_a_missing_driver_names_what_to_install() -> None:
    """Without psycopg a Postgres URL says how to install it, and SQLite still works."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from scalesync.db.database import Database; from scalesync.errors import ConfigurationError\n"
        "try: Database.open('postgresql://h/d')\n"
        "except ConfigurationError as error: print(error.advice)"
    )
    said = subprocess.check_output([sys.executable, "-W", "error", "-c", program], text=True)
    assert said == "Run `pip install '.[postgres]'` in the checkout of scalesync.\n"
