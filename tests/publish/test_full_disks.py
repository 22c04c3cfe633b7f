"""A disk that is full at any moment: one sentence, and the table stays as it was."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.publish.histories import History
from tests.publish.published import published, same
from tests.support.databases import opened

CHILD = """
import resource, sys
sys.dont_write_bytecode = True
from pathlib import Path
from tests.publish.published import published
from scalesync.errors import ConfigurationError
from tests.support.databases import opened
with opened(sys.argv[1]) as database:
    with database.read():
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
    try:
        published(database, Path(sys.argv[2]), sys.argv[3])
    except ConfigurationError as error:
        print(error)
"""


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_a_full_disk_is_one_sentence(postgres_url: str, tmp_path: Path, form: str) -> None:
    """Within a row group, at the end of a file, and in the log or the manifest; nothing is left behind."""
    with opened(postgres_url) as database:
        history = History(database, 61)
        for _ in range(6):
            history.step("create")
        published(database, tmp_path, form)
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        history.step("create")
        for limit in (0, 5, 100, 1000, 4000):
            command = [sys.executable, "-c", CHILD, postgres_url, str(tmp_path), form, str(limit)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), limit
            assert done.stdout.startswith(f"Cannot publish at {tmp_path}: "), (limit, done.stdout)
            assert "File too large" in done.stdout
            left = {path for path in tmp_path.rglob("*") if path.is_file()}
            assert left == before or form == "delta", left - before
        published(database, tmp_path, form)
        assert list(same(database, tmp_path, form)) == []
