"""`scalesync export --format yolo|huggingface`: a dataset that is a directory of pictures."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from scalesync.cli.atomic_files import atomic_directory
from scalesync.cli.progress import Tracker, progress
from scalesync.errors import ConfigurationError, IncompleteError

if TYPE_CHECKING:
    from scalesync.export.counts import ExportCounts
    from scalesync.export.exporter import DirectoryOptions, Export, Exporter
    from scalesync.export.picture_dataset import PictureDone

_F = TypeVar("_F", bound=Callable[..., object])

FORMATS = ("yolo", "huggingface")
DEFAULTS = {"split": "0.8,0.1,0.1", "pictures": "copy", "yolo_kind": "detect"}
"""Options of these formats, and what they are if they are not given."""

_OPTIONS = (
    click.option("--split", metavar="SHARES", help="Of train, val and test; else 0.8,0.1,0.1."),
    click.option(
        "--pictures",
        type=click.Choice(["copy", "link", "none"]),
        help="What to do with fetched pictures; else copy.",
    ),
    click.option(
        "--yolo-kind", type=click.Choice(["detect", "segment", "obb"]), help="Of YOLO labels; else detect."
    ),
)
_FETCH = "Run `scalesync fetch-attachments --to DIR`, and export again."
_SPLIT = "Choose another --split, by which each part has annotations."


def directory_options(command: _F) -> _F:
    """Add the options of datasets that are directories to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_options(
    format: str,  # noqa: A002 - as the option
    output: Path | None,
    given: Mapping[str, object],
) -> "DirectoryOptions | None":
    """Return the options of a dataset that is a directory, None of another format.

    Raises ConfigurationError for an option that does not belong to the format, or is wrong.
    """
    from scalesync.export.exporter import DirectoryOptions

    for name in given:
        owners = ("yolo",) if name == "yolo_kind" else FORMATS
        if given[name] is not None and format not in owners:
            msg = f"--{name.replace('_', '-')} does not apply to the format {format}."
            raise ConfigurationError(msg, advice=f"Leave it out, or choose --format {' or '.join(owners)}.")
    if format not in FORMATS:
        return None
    if output is None:
        raise ConfigurationError(f"The format {format} is a directory.", advice="Name it with -o.")
    words = {name: default if given[name] is None else str(given[name]) for name, default in DEFAULTS.items()}
    return DirectoryOptions.of(**words, lies_at=output)


def write_directory(
    exporter: "Exporter", plan: "Export", output: Path, options: "DirectoryOptions", *, quiet: bool
) -> "ExportCounts":
    """Write a dataset with progress on stderr; an earlier one at its place is replaced as a whole."""
    from scalesync.export.counts import ExportCounts
    from scalesync.export.dataset_folder import is_earlier_export

    counts = ExportCounts()
    with (
        progress(_PictureTracker(), quiet=quiet) as on_event,
        atomic_directory(output, is_earlier_export) as directory,
    ):
        exporter.directory(plan, directory, counts, options, on_event)
    return counts


class _PictureTracker(Tracker):
    """Counts pictures that were read."""

    log = logging.getLogger("scalesync.export")
    counter = "pictures"

    def __init__(self) -> None:
        """Start at zero, and log single pictures only where everything is logged."""
        from scalesync.export.picture_dataset import PictureDone

        self.minor = (PictureDone,)
        self._done, self._total = 0, 0

    def count(self, event: "PictureDone") -> None:
        """Take over what an event says."""
        self._done, self._total = event.done, event.total

    def counters(self) -> dict[str, tuple[int, int | None]]:
        """Return the pictures that were read, and their total."""
        return {self.counter: (self._done, self._total)}

    def line(self, counter: str) -> str:
        """Return these as a sentence."""
        return f"{counter}: {self._done:,} of {self._total:,}"


def raise_if_incomplete(counts: "ExportCounts") -> None:
    """Raise IncompleteError with advice if a later export may have pictures that this one has not."""
    if counts.unfinished:
        lacking = ", ".join(f"{number:,} {what}" for what, number in counts.unfinished.most_common())
        advices = (_FETCH if what.startswith("pictures") else _SPLIT for what in counts.unfinished)
        advice = " ".join(dict.fromkeys(advices))
        raise IncompleteError(f"The dataset is incomplete: {lacking}.", advice=advice)
