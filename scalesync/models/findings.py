"""Names of the rules that annotations are checked by, and a finding of one."""

from enum import StrEnum
from typing import NamedTuple

DEFAULT_IOU = 0.9
"""Intersection over union from which two boxes are one over the other, unless another one is asked for."""


class FindingRule(StrEnum):
    """What a finding says of an annotation, or of its whole task."""

    SLIVER = "sliver"
    TINY = "tiny"
    OUTSIDE_PICTURE = "outside_picture"
    OVERLAP = "overlap"
    UNKNOWN_LABEL = "unknown_label"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    COMPLETED_EMPTY = "completed_empty"
    DEGENERATE_POLYGON = "degenerate_polygon"
    DUPLICATE_VERTEX = "duplicate_vertex"
    CROSSED_CUBOID = "crossed_cuboid"
    MISPLACED_TEXT = "misplaced_text"


class Finding(NamedTuple):
    """One row of the view `annotation_findings`."""

    rule: FindingRule
    task_id: str
    ordinal: int | None
    """Number of the annotation within its task; None: the finding is about the task as a whole."""
    detail: str
    """Numbers or words that explain it."""


class FindingsProgress(NamedTuple):
    """How far a search for findings has come."""

    tasks_done: int
    tasks: int
    """All that are searched."""
    found: int
    """Findings so far."""

    @property
    def name(self) -> str:
        """The event's name in the log."""
        return "findings searched"


class UnseenAnnotations(NamedTuple):
    """What a search for findings cannot have looked at."""

    complete: bool
    """Whether the tasks are known to be complete up to some time."""
    tasks_in_files: int
    """Tasks with a result file that is not here, or was not read completely."""
    responses_unread: int
    """Tasks with a response of which a part has a form that is not known."""
