"""Publishing to S3, served on this machine, and to Azure where Azurite is installed."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from shutil import which
from typing import Any

import pytest

from scalesync.clock import Clock
from scalesync.db.database import Database
from scalesync.errors import ConfigurationError
from scalesync.models.publishing import Publication, PublishEvent, PublishFormat, PublishProgress
from scalesync.publish.publisher import Publisher, PublishPlan, Watch
from scalesync.publish.target import Target
from tests.publish.engines import ONLY_LOCAL, Engines
from tests.publish.histories import History
from tests.publish.published import TABLES, mirrored, same, sorted_rows
from tests.support.databases import opened

KEY = "canary-of-the-store"


@contextmanager
def serving(*command: str, port: int) -> Iterator[None]:
    """Run a server until the end of the block, from when it can be reached."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield
        process.kill()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve S3 on this machine, in a process of its own: deltalake may keep Python's lock while it waits."""
    pytest.importorskip("moto.server")
    port = free_port()
    with serving(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), port=port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return an empty bucket, with its credentials in the environment."""
    store = made_bucket(endpoint, monkeypatch)
    yield store
    store.delete_dir_contents("lake")


def made_bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the bucket `lake` there; the environment gets its credentials. Return the store."""
    from pyarrow import fs

    variables = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": KEY,
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    address = endpoint.removeprefix("http://")
    store = fs.S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True)
    store.create_dir("lake")
    return store


def publish(
    database: Database, form: str, address: str = "s3://lake/of/ours/", watch: Watch = lambda _: None
) -> Publication:
    """Publish to the bucket."""
    plan = PublishPlan(Target.parse(address), PublishFormat(form))
    return Publisher(lambda: nullcontext(database), Clock(), lambda _: (), watch).publish(plan)


@pytest.mark.usefixtures("bucket")
def test_delta_tables_on_s3(sqlite_url: str) -> None:
    """Are the mirror, after each of two publications."""
    with opened(sqlite_url) as database:
        history = History(database, 21)
        for _ in range(2):
            for _ in range(8):
                history.step()
            publish(database, "delta")
            assert list(same(database, "s3://lake/of/ours")) == []


@pytest.mark.usefixtures("bucket")
def test_engines_read_delta_tables_on_s3(sqlite_url: str, engines: Engines) -> None:
    """By what the environment has: its credentials, its endpoint and the leave to do without TLS."""
    with opened(sqlite_url) as database:
        history = History(database, 23)
        for _ in range(2):
            for _ in range(6):
                history.step()
            publish(database, "delta")
        for engine in engines.delta.keys() - set(ONLY_LOCAL):
            for name in TABLES:
                found = engines.delta[engine](f"s3://lake/of/ours/{name}", None, None).to_pylist()
                assert sorted_rows(name, found) == mirrored(database, name), (engine, name)


@pytest.mark.usefixtures("bucket")
def test_polars_takes_credentials_as_options(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment has none."""
    import polars as pl

    with opened(sqlite_url) as database:
        History(database, 24).step()
        publish(database, "delta")
        options = {name.lower(): os.environ[name] for name in os.environ if name.startswith("AWS_")}
        for name in options:
            monkeypatch.delenv(name.upper())
        found = pl.read_delta("s3://lake/of/ours/tasks", storage_options=options).to_arrow().to_pylist()
        assert sorted_rows("tasks", found) == mirrored(database, "tasks")


def test_parquet_files_on_s3(sqlite_url: str, bucket: Any) -> None:
    """Are listed with directories of the right names, by a manifest that is one object."""
    with opened(sqlite_url) as database:
        history = History(database, 22, names=('a/b "é" = 100%', "x%2Fy", "p"))
        for _ in range(2):
            for _ in range(8):
                history.step()
            publish(database, "parquet")
            with bucket.open_input_stream("lake/of/ours/tasks/_manifest.json") as stream:
                listed = json.loads(stream.read())["partitions"]
            rows = [row for path in listed for row in _read(bucket, f"lake/of/ours/tasks/{path}")]
            wanted = mirrored(database, "tasks")
            assert sorted(row["task_id"] for row in rows) == sorted(row["task_id"] for row in wanted)
            assert {row["project_name"] for row in rows} == {row["project_name"] for row in wanted}


def _read(store: Any, path: str) -> list[dict[str, Any]]:
    from pyarrow import parquet

    with store.open_input_file(path) as file:
        found: list[dict[str, Any]] = parquet.ParquetFile(file).read().to_pylist()
    return found


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_a_bucket_that_is_not_there_is_one_sentence(sqlite_url: str, form: str) -> None:
    """Without the credentials."""
    with opened(sqlite_url) as database:
        with pytest.raises(ConfigurationError, match="Cannot publish at s3://nobody") as raised:
            publish(database, form, "s3://nobody/x")
        assert KEY not in str(raised.value)
        assert "<" not in str(raised.value)


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_lost_files_and_tables_above_are_noticed_on_s3(sqlite_url: str, bucket: Any, form: str) -> None:
    """As in a directory: a table is written whole, and a table is no target."""
    from pyarrow import fs

    with opened(sqlite_url) as database:
        History(database, 25).step("create")
        first = publish(database, form).tables["tasks"]
        assert publish(database, form).tables["tasks"].rows == 0
        found = bucket.get_file_info(fs.FileSelector("lake/of/ours/tasks", recursive=True))
        bucket.delete_file(next(each.path for each in found if each.path.endswith(".parquet")))
        assert publish(database, form).tables["tasks"].rows == first.rows > 0
        with pytest.raises(ConfigurationError, match="is a table itself"):
            publish(database, form, "s3://lake/of/ours/tasks")


@pytest.mark.parametrize("lost", [0, 1])
def test_a_commit_whose_answer_was_lost_is_known_as_ours(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """The first one as later ones: its files stay, and nothing is compared or written again."""
    port, events = free_port(), list[PublishEvent]()
    command = (
        sys.executable,
        "-m",
        "tests.publish.lossy_store",
        str(port),
        f"tasks/_delta_log/{lost:020}.json",
    )
    with opened(sqlite_url) as database, serving(*command, port=port):
        made_bucket(f"http://127.0.0.1:{port}", monkeypatch)
        history = History(database, 27)
        for version in range(3):
            history.step("create")
            assert publish(database, "delta", watch=events.append).tables["tasks"].version == version
            assert list(same(database, "s3://lake/of/ours")) == []
    assert {type(each) for each in events} == {PublishProgress}


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve Azure's blobs on this machine, in memory; return the address of an empty container."""
    from pyarrow import fs

    # deltalake looks for Azurite at this port only.
    port, account, key = 10000, "devstoreaccount1", "bm9ib2R5"
    monkeypatch.setenv("AZURITE_ACCOUNTS", f"{account}:{key}")
    for name, value in (("USE_EMULATOR", "true"), ("ACCOUNT_NAME", account), ("ACCOUNT_KEY", key)):
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    options = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    with serving("azurite-blob", *options, port=port):
        there = f"127.0.0.1:{port}"
        store = fs.AzureFileSystem(
            account, account_key=key,
            blob_storage_authority=there, blob_storage_scheme="http",
            dfs_storage_authority=there, dfs_storage_scheme="http",
        )  # fmt: skip
        store.create_dir("lake")
        yield "az://lake/of/ours"


@pytest.mark.skipif(which("azurite-blob") is None, reason="Azurite is not installed")
def test_delta_tables_on_azure(sqlite_url: str, container: str) -> None:
    """Are the mirror after each publication, also if two publish at once."""
    with opened(sqlite_url) as database, ThreadPoolExecutor() as threads:
        history = History(database, 26)
        for at_once in (1, 1, 2):
            for _ in range(8):
                history.step()
            both = [threads.submit(publish, database, "delta", container) for _ in range(at_once)]
            assert [each.result().tables["tasks"].version is not None for each in both]
            assert list(same(database, container)) == []
