"""`scalesync export`: write tables, views and datasets atomically."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from scalesync.cli import export_directory
from scalesync.cli.atomic_files import atomic_directory, atomic_write
from scalesync.cli.context import Context
from scalesync.cli.filters import annotation_filters, filters, selection_from, warn_of_filters
from scalesync.cli.output import output_errors, print_data, print_warnings, single_line
from scalesync.errors import ConfigurationError

if TYPE_CHECKING:
    from scalesync.export.counts import ExportCounts
    from scalesync.export.exporter import DirectoryOptions, Export

TABLES = (
    "tasks", "batches", "projects", "project_versions", "annotations", "annotation_links", "task_changes",
    "task_audits", "task_attempts", "replaced_responses", "annotation_differences", "commands",
    "command_attempts", "runs", "attachments", "unread_responses",
    "partition_changes", "publications",
)  # fmt: skip
VIEWS = (
    "task_facts", "batch_progress", "label_counts", "daily_throughput", "review_quality", "reviewers",
    "task_responses", "annotation_changes", "weekly_labels", "image_annotations", "monthly_completion",
    "duplicate_tasks", "submissions", "annotation_findings",
)  # fmt: skip
_OF_THIS_MIRROR = (
    "commands", "command_attempts", "runs", "submissions", "attachments", "unread_responses",
    "partition_changes", "publications",
)  # fmt: skip
"""What the API has nothing of."""
_OF_ANNOTATIONS = (
    "annotations", "annotation_links", "annotation_differences", "annotation_findings", "annotation_changes",
    "image_annotations", "label_counts", "weekly_labels",
)  # fmt: skip
"""What result files add to."""
FORMATS = ("jsonl", "csv", "parquet", "coco", "fiftyone", *export_directory.FORMATS)
_EPILOG = f"Tables: {', '.join(TABLES)}. Views: {', '.join(VIEWS)}."


@click.command(epilog=_EPILOG)
@click.argument("table", type=click.Choice([*TABLES, *VIEWS]), metavar="TABLE|VIEW")
@click.option("--format", type=click.Choice(FORMATS), default="jsonl", help="What to write.")
@click.option("--partition", is_flag=True, help="A directory of Parquet files by project and month.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE, whole or not at all.",
)
@export_directory.directory_options
@filters("tasks")
@annotation_filters
@click.pass_obj
def export(context: Context, /, table: str, partition: bool, output: Path | None, **options: object) -> None:
    """Write a table, a view or a dataset.

    jsonl gives tasks, batches and projects as the API sent them, and of every other table or view an object
    a row; csv and parquet give rows of all. coco and fiftyone are datasets made of tasks; yolo and
    huggingface are, too, and are directories with the pictures.
    """
    from scalesync.export.exporter import Export, Format

    given = {name: options.pop(name) for name in export_directory.DEFAULTS}
    plan = Export(table, Format(str(options.pop("format"))), selection_from(table, options))
    # Everything that can be wrong with the options is checked before the output is opened.
    _check_options(plan.format, output, partition=partition)
    directory = export_directory.check_options(plan.format, output, given)
    warn_of_filters(context, table, options)
    _warn_of_gaps(context, plan)
    counts = _write(context, plan, output, partition=partition, directory=directory)
    if output is not None and not context.quiet:
        click.echo(single_line(f"{_written(counts, plan)} in {output}"), err=True)
    _print_counts(counts, plan.format)
    export_directory.raise_if_incomplete(counts)


def _warn_of_gaps(context: Context, plan: "Export") -> None:
    """Print on stderr why what is exported is not known to be complete."""
    if context.quiet or plan.name in _OF_THIS_MIRROR:
        return
    status = context.mirror().status(recent=1, count=False)
    print_warnings(status.sync_gaps())
    # Datasets are made of what is in responses themselves.
    is_dataset = plan.format not in ("jsonl", "csv", "parquet")
    if is_dataset or plan.name in _OF_ANNOTATIONS:
        print_warnings([*([] if is_dataset else status.file_gaps()), *status.response_gaps()])


def _print_counts(counts: "ExportCounts", format: str) -> None:  # noqa: A002 - as the option
    for what, number in counts.altered.most_common():
        click.echo(f"{number:,} {what}", err=True)
    for reason, number in counts.reasons.most_common():
        click.echo(f"{number:,} left out: {reason}", err=True)
    if counts.left_out and format not in export_directory.FORMATS:
        click.echo(f"{counts.left_out:,} left out, which {format} cannot hold.", err=True)


def _written(counts: "ExportCounts", plan: "Export") -> str:
    """Return how much was written, in the unit that the format counts."""
    if plan.format in export_directory.FORMATS:
        return f"{counts.written:,} annotations on {counts.pictures:,} pictures"
    return f"{counts.written:,} {_UNITS.get(plan.format, plan.name)}"


_UNITS = {"coco": "annotations", "fiftyone": "tasks"}
"""The unit that a dataset counts; other formats count rows of the table."""


def _check_options(format: str, output: Path | None, *, partition: bool) -> None:  # noqa: A002 - as the option
    if partition and format != "parquet":
        raise ConfigurationError("--partition makes Parquet files only.", advice="Add --format parquet.")
    if partition and output is None:
        raise ConfigurationError("--partition makes a directory.", advice="Name it with -o.")
    if format == "parquet" and output is None and sys.stdout.isatty():
        raise ConfigurationError("Parquet is nothing for a terminal.", advice="Name a file with -o.")


def _write(
    context: Context,
    plan: "Export",
    output: Path | None,
    *,
    partition: bool,
    directory: "DirectoryOptions | None",
) -> "ExportCounts":
    from scalesync.export.counts import ExportCounts
    from scalesync.export.parquet import holds_partitions

    counts, exporter = ExportCounts(), context.mirror().exporter
    if output is not None and directory is not None:
        return export_directory.write_directory(exporter, plan, output, directory, quiet=context.quiet)
    if output is not None and partition:
        with atomic_directory(output, holds_partitions) as made:
            exporter.partitions(plan, made, counts)
    elif plan.format == "parquet":
        with _stdout_file() if output is None else atomic_write(output) as file:
            exporter.parquet(plan, file, counts)
    elif output is None:
        print_data(exporter.lines(plan, counts))
    else:
        with atomic_write(output) as file:
            file.writelines(line + b"\n" for line in exporter.lines(plan, counts))
    return counts


@contextmanager
def _stdout_file() -> Iterator[IO[bytes]]:
    with output_errors():
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


COMMANDS = (export,)
