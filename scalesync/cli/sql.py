"""`scalesync sql`: run a read-only SQL statement."""

import sys
from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context
from scalesync.cli.output import print_data, print_table
from scalesync.cli.param_types import SECONDS

if TYPE_CHECKING:
    from scalesync.models.columns import QueryResult


@click.command()
@click.argument("statement")
@click.option(
    "--format",
    type=click.Choice(["table", "csv", "json"]),
    help="How to print the answer; json is one object a line.  [table on a terminal, otherwise csv]",
)
@click.option("--timeout", type=SECONDS, default="60s", help="How long the database may be at work on it.")
@click.pass_obj
def sql(context: Context, statement: str, format: str | None, timeout: float) -> None:  # noqa: A002 - the option's name
    """Answer an SQL statement that only reads.

    STATEMENT is one, or - for the one on stdin. The database itself refuses what would change anything.
    """
    from scalesync.export.csv_jsonl import csv_lines, json_lines

    text = sys.stdin.read() if statement == "-" else statement
    chosen = format or ("table" if sys.stdout.isatty() else "csv")
    with context.mirror().exporter.answer(text, seconds=timeout) as answer:
        if chosen == "table":
            print_answer(answer)
        else:
            write = json_lines if chosen == "json" else csv_lines
            print_data(write(answer.columns, answer.rows))


def print_answer(answer: "QueryResult") -> None:
    """Print a query result as a table."""
    from scalesync.export.csv_jsonl import to_json

    # Floats stay as they are: a table can show NaN, JSON cannot.
    rows = ([value if isinstance(value, float) else to_json(value) for value in row] for row in answer.rows)
    print_table([column.name for column in answer.columns], rows)


COMMANDS = (sql,)
