"""README and documentation cannot drift: their commands are run, queries asked, tables held against the code.

Three commands are marked. The demo command is run for real, in a copy of the checkout, by `test_wheel.py`,
and what the pages command starts by `test_browser_demo.py`. The test command is only checked to be what
`.ci/run` runs: a suite that runs itself would never end.
"""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import psycopg
import pytest

import scalesync.errors
from scalesync.cli.demo.walkthrough import CHANGES
from scalesync.cli.error_handling import INTERRUPTED
from scalesync.cli.main import cli
from scalesync.db.database import Database
from scalesync.db.schema.findings.rules import RULES
from scalesync.db.schema.partial_indexes import metadata
from scalesync.db.schema.views import VIEWS
from scalesync.db.schema_docs import FOLDER as DOCS
from scalesync.db.schema_docs import PAGES as GENERATED
from scalesync.db.schema_docs import documented, meaning, page
from scalesync.errors import ScalesyncError
from scalesync.models.api import DEFAULT_API_URL
from scalesync.sandbox import SandboxServer, choices_of
from scalesync.sandbox.faults import FaultKind
from scalesync.settings import DEFAULT_DATABASE
from tests.readme import BLOCKS, PAGES, PROSE, ROOT, TEXT, answered, blocks, marked, spans, table_rows
from tests.support.cli_in_process import in_process
from tests.support.cli_process import scalesync_in
from tests.support.databases import PostgresServer
from tests.support.sandboxes import LIVE_KEY
from tests.support.sync_env import sync

Start = Callable[..., SandboxServer]

BIN = Path(sys.executable).parent
INTERNAL = {"task_counts", "window_pages"}
"""Tables that are nobody's business."""


def run(
    script: str, directory: Path, forked_cli: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a script in bash, stopping at the first command that fails."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SCALE")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env={**ours, "PATH": f"{forked_cli.parent}:{BIN}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def run_python(code: str, directory: Path, forked_cli: Path, url: str) -> "subprocess.CompletedProcess[str]":
    """Run a block of Python as a program of its own, warnings being errors."""
    variables = {"SCALESYNC_API_URL": url, "SCALE_API_KEY": LIVE_KEY}
    (directory / "block.py").write_text(code)
    return run("exec python -W error block.py", directory, forked_cli, **variables)


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """Return what a query answers on Postgres."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def ask_sqlite(path: Path, query: str) -> list[tuple[object, ...]]:
    """Return what a query answers on SQLite."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_every_command_and_query_does_what_it_shows(
    start_sandbox: Start, postgres_server: PostgresServer, tmp_path: Path, forked_cli: Path
) -> None:
    """A reader who runs the blocks in order sees each end with 0, and each query answered on both databases.

    The README's come first, then those of the documentation, page by page. What one block exports holds for
    those after it, as in a reader's shell. The cron lines run in a plain `sh` and print nothing, so that no
    mail is sent. Python comes after the shell, on the same mirror.
    """
    url = start_sandbox(tasks=400).url
    database = postgres_server.create("readme")
    remember = "\nexport -p >.environment\n"
    for code in blocks("sh"):
        done = run(
            f"[ ! -f .environment ] || . ./.environment\n{code}{remember}",
            tmp_path,
            forked_cli,
            SCALESYNC_API_URL=url,
            DATABASE_URL=database,
        )
        assert done.returncode == 0, code + done.stdout + done.stderr
    run("scalesync --db $DATABASE_URL batch finalize one", tmp_path, forked_cli, DATABASE_URL=database)
    for query in blocks("sql"):
        assert ask_sqlite(tmp_path / DEFAULT_DATABASE, query), query
        assert ask(database, query), query

    for code in blocks("python"):
        ran = run_python(code, tmp_path, forked_cli, url)
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    (tmp_path / ".scale-key").write_text(f"{LIVE_KEY}\n")
    (tmp_path / ".scale-key").chmod(0o600)
    for cron in blocks("crontab"):
        command = cron.split(maxsplit=5)[5]
        ran = run(f"exec sh -c '{command}'", tmp_path, forked_cli, SCALESYNC_API_URL=url, HOME=str(tmp_path))
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_the_questions_have_the_answers_of_the_demo(
    start_sandbox: Start, database: Database, database_url: str, tmp_path: Path
) -> None:
    """What stands below a query is what `scalesync sql` prints of the demo's account, on each database."""
    server = start_sandbox(tasks=3000, seed=1)
    sync(server, database)
    server.backend.churn(CHANGES)
    sync(server, database)

    asking = in_process(scalesync_in(tmp_path).having(SCALESYNC_DB=database_url))
    assert len(answered()) == 6
    for query, answer in answered():
        assert asking("sql", query, "--format", "table").out == answer


def test_every_block_is_of_a_kind_that_is_run() -> None:
    """No block escapes by its language or its marker."""
    assert {block.language for block in BLOCKS} == {"sh", "sql", "crontab", "python", "text", "yaml"}
    commands = {"demo command", "pages command", "test command"}
    assert {block.marker for block in BLOCKS} == {"", *commands, "engine", "dbt sources"}
    assert (len(blocks("sh")), len(blocks("sql"))) >= (3, 3)
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_ci_runs_the_test_command_and_nothing_else() -> None:
    """What `.ci/run` would evaluate is the README's block, to the letter."""
    script = (ROOT / ".ci" / "run").read_text().replace('eval "', 'printf "%s\\n" "')
    done = subprocess.run(
        ["bash", "-c", script, str(ROOT / ".ci" / "run")], capture_output=True, text=True, check=True
    )

    assert done.stdout == marked("test command")


def commands_in_text() -> list[str]:
    """Return every command of ours that stands in running text."""
    return sorted({span for span in spans(PROSE) if span.startswith("scalesync ")})


@pytest.mark.parametrize("command", commands_in_text())
def test_commands_in_running_text_exist(command: str) -> None:
    """With the options they name: click refuses what it does not know before it prints help."""
    asked = [*command.split()[1:], "--help"]

    assert cli.main(asked, standalone_mode=False, prog_name="scalesync") == 0


def options() -> Iterator[tuple[str, str, click.Option]]:
    """Yield (as the README writes it, its variable, the option) of the program and what talks to the API."""
    commands = [(cli, "", "SCALESYNC")] + [
        (cli.commands[name], f"{name} ", f"SCALESYNC_{name.upper().replace('-', '_')}")
        for name in (
            "sync",
            "verify",
            "dispatch",
            "fetch-attachments",
            "fetch-results",
            "prune",
            "sql",
            "export",
        )
    ]
    for command, words, prefix in commands:
        for param in command.params:
            if isinstance(param, click.Option):
                yield f"{words}{max(param.opts, key=len)}", f"{prefix}_{param.name}".upper(), param


def test_the_table_of_options_is_that_of_help() -> None:
    """Each row's option exists, with that variable and default; each option with a value is on some page."""
    known = {name: (variable, option) for name, variable, option in options()}
    fixed = {"--db": DEFAULT_DATABASE, "--api-url": DEFAULT_API_URL, "--patience": "240s"}
    rows = [["".join(spans(cell)) for cell in row[:3]] for row in table_rows("Options") if row[0]]
    shown = cli.get_help(click.Context(cli, info_name="scalesync", terminal_width=200))

    for name, variable, default in rows:
        declared = known[name][1].default
        assert variable == known[name][0]
        assert default == fixed.get(name, str(declared) if isinstance(declared, str | int) else "")
        assert name not in fixed or f"[{default}]" in shown
    valued = [name for name, (_, option) in known.items() if not option.is_flag and not option.count]
    assert [name for name in valued if f"{name.split()[-1]}" not in TEXT] == []
    assert [name for name in known if " " not in name and name not in valued] == [
        "--insecure-http",
        "--verbose",
        "--quiet",
        "--version",
    ]
    assert "`SCALESYNC_COMMAND_OPTION`" in TEXT


def test_variables_without_an_option_are_read() -> None:
    """The other rows of that table name what the settings look for."""
    settings = (ROOT / "scalesync" / "settings.py").read_text()
    alone = ["".join(spans(row[1])) for row in table_rows("Options") if not row[0]]

    assert alone == ["SCALE_API_KEY", "SCALESYNC_LEASE", "SCALESYNC_MAX_AGE"]
    assert [name for name in alone if f'"{name}"' not in settings] == []


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    """Success, every code that an error has, and interruption: no more and no less."""
    errors = [kind for kind in vars(scalesync.errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in errors if issubclass(kind, ScalesyncError)}

    assert {int(row[0]) for row in table_rows("Exit codes")} == codes | {0, INTERRUPTED}


def test_the_settings_of_the_readme_are_ten_of_those() -> None:
    """To the letter."""
    rows = table_rows("Settings")

    assert len(rows) == 10
    assert [row for row in rows if row not in table_rows("Options")] == []


def test_the_readme_is_short_and_names_every_page() -> None:
    """At most 300 lines; each link into the repository leads to a file, and each page has one."""
    readme = PAGES[0].read_text()
    links = set(re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme))

    assert readme.count("\n") <= 300
    assert [link for link in links if not (ROOT / link).is_file()] == []
    assert {str(path.relative_to(ROOT)) for path in PAGES[1:]} <= links


def test_the_readme_contents_lead_to_its_sections() -> None:
    """Every section has a link at the top, and every such link a section."""
    readme = re.sub(r"```.*?```", "", PAGES[0].read_text(), flags=re.DOTALL)
    headings = re.findall(r"^##+ (.+)$", readme, re.MULTILINE)

    links = dict(re.findall(r"\[([^]]+)\]\(#([^)]+)\)", readme))
    assert links == {heading: heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("row", table_rows("Development"), ids=lambda row: row[0])
def test_what_is_to_be_added_is_declared_where_the_readme_says(row: list[str]) -> None:
    """The file has the name, and whatever else is to be changed exists."""
    _, name, path, rest = row
    files = [span for span in spans(f"{path} {rest}") if span.endswith(".py")]
    texts = [(ROOT / file).read_text() for file in files]

    assert re.search(rf"^(class )?{spans(name)[0]}\b", texts[0], re.MULTILINE)
    words = [span.split(".")[-1] for span in spans(rest) if not span.endswith(".py")]
    assert [word for word in words if not any(word in text for text in texts)] == []


def test_the_tables_are_those_of_the_schema() -> None:
    """Every table is named, with every column in its order and none that does not exist."""
    shown = set(re.findall(r"^## (\w+)$", (DOCS / "tables.md").read_text(), re.MULTILINE))

    assert shown == set(metadata.tables) - INTERNAL
    for name in shown:
        columns = [column for cells in table_rows(name) for column in spans(cells[0])]
        assert columns == [column.name for column in metadata.tables[name].columns]


def test_the_views_are_those_of_the_migrations() -> None:
    """Each with every column in its order, and what it means, as the code has it."""
    assert re.findall(r"^## (\w+)$", (DOCS / "views.md").read_text(), re.MULTILINE) == list(VIEWS)
    for name, view in VIEWS.items():
        shown = [(spans(column), meaning) for column, _, meaning in table_rows(name)]
        assert shown == [([column.name], column.comment) for column in view.columns]
        assert f"\n## {name}\n\n{str(view.comment).capitalize()}.\n" in TEXT


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_what_the_schema_makes(name: str) -> None:
    """As `python -m scalesync.db.schema_docs` writes it; every table, view and column has a meaning."""
    assert (DOCS / f"{name}.md").read_text() == page(name)
    for table in documented(name):
        assert [column.name for column in table.columns if not meaning(column)] == []


def test_the_rules_of_findings_are_those_declared() -> None:
    """In their order, with what each means, its limits and what it costs."""
    rows = [[f"`{rule.name}`", rule.meaning, rule.limits, rule.cost] for rule in RULES]
    assert table_rows("Rules") == rows


def test_every_switch_and_fault_of_the_sandbox_is_named() -> None:
    """With every value that a switch may take."""
    for name, values in choices_of().items():
        listed = f"`{name}` ({', '.join(values)})" if values else f"`{name}`"
        assert listed in " ".join(TEXT.split())
    for kind in FaultKind:
        assert kind is FaultKind.STATUS or f"`{kind}`" in TEXT
