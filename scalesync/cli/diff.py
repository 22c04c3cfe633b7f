"""`scalesync diff`: what changed between two responses of a task."""

from typing import TYPE_CHECKING

import click

from scalesync.cli.context import Context
from scalesync.cli.output import pluralize, print_json, print_line, print_table
from scalesync.cli.param_types import NAME, json_option
from scalesync.errors import IncompleteError
from scalesync.timestamps import format_instant

if TYPE_CHECKING:
    from scalesync.annotations.difference import AnnotationDifference, ResponseDiff, StoredResponse


@click.command()
@click.argument("task_id", type=NAME)
@click.option("--before", metavar="DIGEST", help="The earlier response.  [the one before]")
@click.option("--after", metavar="DIGEST", help="The later response.  [the last one]")
@json_option
@click.pass_obj
def diff(context: Context, task_id: str, before: str | None, after: str | None, json: bool) -> None:
    """Compare two responses of a task, by annotation.

    Added, removed, relabelled, moved (with its intersection over union) or changed. DIGEST is a
    `response_digest` of the view `task_responses`, or its beginning. Ends with 1 if the earlier response was
    not kept, or if annotations are in files or in a form that is not understood.
    """
    found = context.mirror().diff(task_id, before=before, after=after)
    if json:
        print_json(_as_json(found))
    else:
        _print(found)
    if not found.complete:
        msg = "Not everything was compared: annotations are in files, or of a form that is not understood."
        raise IncompleteError(msg, advice="`scalesync task show` has the response of now.")


def _as_json(found: "ResponseDiff") -> dict[str, object]:
    def named(response: "StoredResponse | None") -> dict[str, object] | None:
        return response and {
            "response_digest": response.digest,
            "first_seen_at": response.first_seen_at,
        }

    return {
        "task_id": found.task_id,
        "before": named(found.before),
        "after": named(found.after),
        "complete": found.complete,
        "differences": [each._asdict() for each in found.differences],
    }


def _print(found: "ResponseDiff") -> None:
    if found.before is None or found.after is None:
        had = "no response" if found.after is None else "one response only"
        print_line(f"Task {found.task_id} has had {had} since it is here: there is nothing to compare.")
        return
    for name, response in (("before", found.before), ("after", found.after)):
        print_line(f"{name:<8}{response.digest}  first seen {format_instant(response.first_seen_at)}")
    if not found.differences:
        print_line("The annotations are the same.")
        return
    rows = (
        (
            each.kind,
            _label(each),
            each.geometry,
            each.frame,
            None if each.iou is None else round(each.iou, 4),
            each.uuid,
        )
        for each in found.differences
    )
    count = print_table(("change", "label", "geometry", "frame", "IoU", "uuid"), rows)
    print_line(pluralize(count, "difference", "differences"))


def _label(each: "AnnotationDifference") -> str | None:
    """Return both labels of what was relabelled, or the one of anything else."""
    if each.label_before == each.label_after or each.before_ordinal is None:
        return each.label_after
    if each.after_ordinal is None:
        return each.label_before
    return f"{each.label_before or '(none)'} -> {each.label_after or '(none)'}"


COMMANDS = (diff,)
