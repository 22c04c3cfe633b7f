"""What is installed is whole: the README's demo command, then the built wheel, far from any checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.readme import PAGES, ROOT, marked

SHIPPED = ("scalesync", "migrations", "README.md", "LICENSE", "pyproject.toml", "alembic.ini")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must end with 0, and return what it printed."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SCALE", "PYTHON", "VIRTUAL_ENV"))
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**ours, "PATH": path, "TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def checkout(to: Path) -> Path:
    """Return a copy of what a checkout holds."""
    to.mkdir()
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, to / name)
    return to


def test_the_demo_command_and_the_wheel_work_on_a_fresh_machine(tmp_path: Path) -> None:
    """The README's demo command runs in a copy of the checkout: environment, install, demo.

    Then the wheel, built by way of the source distribution, is installed in that new environment, the
    checkout is taken away, and `init`, `docs` and `demo` run from another directory. One test, for an
    installation takes longer than all the rest.
    """
    source, elsewhere = checkout(tmp_path / "checkout"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    told = run("bash", "-euc", marked("demo command"), cwd=source)
    assert "The mirror stays here" in told

    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", elsewhere, source, cwd=elsewhere)
    (wheel,) = elsewhere.glob("*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    assert {"scalesync/migrations/env.py", "scalesync/migrations/versions/0001_mirror.py"} <= set(inside)
    assert {f"scalesync/docs/{path.name}" for path in PAGES[1:]} <= set(inside)
    assert "scalesync/sandbox/templates.json" in inside
    pages = [path for path in (ROOT / "scalesync" / "web").rglob("*.*") if path.suffix != ".pyc"]
    assert {str(path.relative_to(ROOT)) for path in pages} <= set(inside)
    assert [name for name in inside if name.startswith(("tests/", "migrations/"))] == []

    bin_, again = source / ".venv" / "bin", ("--force-reinstall", "--no-deps")
    run(bin_ / "pip", "install", "--quiet", *again, wheel, cwd=elsewhere)
    for name in SHIPPED:
        (shutil.rmtree if (source / name).is_dir() else os.remove)(source / name)
    run(bin_ / "pip", "check", cwd=elsewhere)
    run(bin_ / "scalesync", "init", cwd=elsewhere)
    assert (elsewhere / "scalesync.db").exists()
    for page in PAGES[1:]:
        assert run(bin_ / "scalesync", "docs", page.stem, cwd=elsewhere) == page.read_text()
    assert "The mirror stays here" in run(bin_ / "scalesync", "demo", "--tasks", "300", cwd=elsewhere)
