"""The columns of the views, a public contract like the tables. Their SQL is in the migrations.

No view shows a task or batch that is missing at the API.
"""

from sqlalchemy import BigInteger, Column, Date, Double, Integer, MetaData, Table, Text

from scalesync.db.types import Instant, Json

# Apart from the tables' metadata, with which migrations are compared: views are not migrated as tables.
views = MetaData()

VIEWS = views.tables
"""Views by name; `comment` describes a row, and each column."""

Table(
    "task_facts",
    views,
    Column("task_id", Text, comment="as in `tasks`"),
    Column("project", Text, comment="as in `tasks`"),
    Column("batch", Text, comment="as in `tasks`"),
    Column("type", Text, comment="as in `tasks`"),
    Column("status", Text, comment="as in `tasks`"),
    Column("customer_review_status", Text, comment="as in `tasks`"),
    Column("created_at", Instant, comment="as in `tasks`"),
    Column("completed_at", Instant, comment="as in `tasks`"),
    Column("seconds_to_complete", Double, comment="from creation to completion, of completed tasks"),
    Column(
        "pending_seconds",
        Double,
        comment="age of a pending task at the instant up to which tasks are known complete (`watermarks`)",
    ),
    Column("annotations", BigInteger, comment="how many rows it has in `annotations`"),
    Column("labels", BigInteger, comment="how many different labels these have"),
    comment="one row for each task",
)

Table(
    "batch_progress",
    views,
    Column("batch", Text, comment="its name"),
    Column("project", Text, comment="of the batch; where that says none, of its tasks if they agree"),
    Column("status", Text, comment="of the batch; empty where it is missing, or only tasks name it"),
    Column("tasks", BigInteger, comment="how many are here, of any status"),
    Column("tasks_pending", BigInteger, comment="how many of them are pending"),
    Column("tasks_completed", BigInteger, comment="how many are completed"),
    Column("tasks_error", BigInteger, comment="how many are in error"),
    Column("tasks_canceled", BigInteger, comment="how many are canceled"),
    Column("share_done", Double, comment="completed ones among all but the canceled, 0 to 1"),
    Column("first_completed_at", Instant, comment="when the first of its completed tasks was completed"),
    Column("last_completed_at", Instant, comment="when the last of them was"),
    Column(
        "median_hours",
        Double,
        comment="half of its completed tasks took no longer, from creation to completion",
    ),
    Column(
        "p90_hours", Double, comment="nine in ten took no longer; both interpolated as `percentile_cont` does"
    ),
    comment="one row for each batch, also where only tasks name it",
)

Table(
    "label_counts",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("label", Text, comment="as in `annotations`"),
    Column("geometry", Text, comment="as in `annotations`"),
    Column("annotations", BigInteger, comment="how many there are"),
    Column("tasks", BigInteger, comment="how many tasks have them"),
    comment="one row for each project, label and geometry that annotations have",
)

Table(
    "daily_throughput",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("day", Date, comment="in UTC: a `date` on Postgres, text `YYYY-MM-DD` on SQLite"),
    Column("created", BigInteger, comment="tasks created on that day"),
    Column("completed", BigInteger, comment="completed tasks, by `completed_at`"),
    Column("canceled", BigInteger, comment="canceled tasks, by `updated_at`: the API dates no cancel"),
    comment="one row for each project and day on which something happened",
)

Table(
    "review_quality",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("batch", Text, comment="of the tasks; empty for those without one"),
    Column("completed", BigInteger, comment="how many tasks are completed"),
    Column("reviewed", BigInteger, comment="how many have one of the next four reviews, of any status"),
    Column("accepted", BigInteger, comment="how many were accepted"),
    Column("fixed", BigInteger, comment="how many were fixed"),
    Column("commented", BigInteger, comment="how many were commented"),
    Column("rejected", BigInteger, comment="how many were rejected"),
    Column("accepted_rate", Double, comment="accepted ones among the reviewed, 0 to 1"),
    Column("fixed_rate", Double, comment="fixed ones among the reviewed"),
    Column("rejected_rate", Double, comment="rejected ones among the reviewed"),
    Column("audited", BigInteger, comment="how many have a row in `task_audits`, of any status"),
    Column("audits", BigInteger, comment="how many such rows they have"),
    Column(
        "rejected_once", BigInteger, comment="how many were rejected by any audit, also if accepted later"
    ),
    comment="one row for each project and batch that tasks name",
)

Table(
    "reviewers",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("audited_by", Text, comment="as in `task_audits`; empty where the API names nobody"),
    Column("source", Text, comment="as in `task_audits`"),
    Column("audits", BigInteger, comment="how many there are"),
    Column("tasks", BigInteger, comment="how many tasks were audited"),
    Column("accepted", BigInteger, comment="how many audits accepted the task"),
    Column("fixed", BigInteger, comment="how many fixed it"),
    Column("commented", BigInteger, comment="how many commented it"),
    Column("rejected", BigInteger, comment="how many rejected it"),
    Column("accepted_rate", Double, comment="accepting ones among all audits, 0 to 1"),
    Column("fixed_rate", Double, comment="fixing ones among all"),
    Column("rejected_rate", Double, comment="rejecting ones among all"),
    Column("mean_seconds", Double, comment="how long an audit took, of those that say it"),
    Column("first_at", Instant, comment="when the first one was"),
    Column("last_at", Instant, comment="when the last one was"),
    comment="one row for each project, reviewer and source of audits",
)

Table(
    "task_responses",
    views,
    Column("task_id", Text, comment="their task"),
    Column("response_digest", Text, comment="as in `tasks`"),
    Column("first_seen_at", Instant, comment="when a sync first saw it, by the API's clock"),
    Column("replaced_at", Instant, comment="when it was seen to be gone; empty: the task has it now"),
    Column("response", Json, comment="as the API sent it"),
    comment="one row for each different response that a task has or had since it is here",
)

Table(
    "annotation_changes",
    views,
    Column("task_id", Text, comment="their task"),
    Column("project", Text, comment="of the task"),
    Column("batch", Text, comment="of the task"),
    Column("kind", Text, comment="as in `annotation_differences`"),
    Column("uuid", Text, comment="of the annotation, if it has one"),
    Column("geometry", Text, comment="as in `annotations`"),
    Column("frame", BigInteger, comment="as in `annotations`"),
    Column("label_before", Text, comment="its label in the earlier response"),
    Column("label_after", Text, comment="its label in the later one"),
    Column("iou", Double, comment="of what moved: intersection over union, 0 to 1"),
    Column("before_ordinal", BigInteger, comment="its number in the earlier response"),
    Column("after_ordinal", BigInteger, comment="its number in the later one"),
    Column("before_digest", Text, comment="the earlier response, as in `task_responses`"),
    Column("after_digest", Text, comment="the later one"),
    Column("seen_at", Instant, comment="when the later one was seen, by the API's clock"),
    comment="one row for each difference between two responses of a task, one after the other",
)

Table(
    "weekly_labels",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("label", Text, comment="as in `annotations`"),
    Column("week", Date, comment="its Monday, in UTC, by `completed_at`; empty for tasks without that"),
    Column("annotations", BigInteger, comment="how many there are"),
    Column("tasks", BigInteger, comment="how many tasks have them"),
    comment="one row for each project, label and week",
)

Table(
    "image_annotations",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("attachment", Text, comment="the image, or other file: `attachment` of the tasks' `params`"),
    Column("tasks", BigInteger, comment="how many tasks were made of it"),
    Column("annotations", BigInteger, comment="how many annotations these have"),
    Column("labels", BigInteger, comment="how many different labels these have"),
    comment="one row for each project and attachment, also those without annotations",
)

Table(
    "monthly_completion",
    views,
    Column("project", Text, comment="of the tasks"),
    Column("month", Date, comment="its first day, in UTC, by `completed_at`"),
    Column("completed", BigInteger, comment="how many tasks were completed"),
    Column("p50_hours", Double, comment="half of them took no longer, from creation to completion"),
    Column("p90_hours", Double, comment="nine in ten took no longer; interpolated as in `batch_progress`"),
    comment="one row for each project and month in which tasks were completed",
)

Table(
    "duplicate_tasks",
    views,
    Column("kind", Text, comment="what they share: `unique_id` or `attachment`"),
    Column("value", Text, comment="the shared text"),
    Column("project", Text, comment="of tasks with the same attachment; empty for `unique_id`"),
    Column("type", Text, comment="as `project`"),
    Column("tasks", BigInteger, comment="how many share it, 2 or more"),
    Column("first_task_id", Text, comment="the smallest `task_id` among them"),
    Column("last_task_id", Text, comment="the largest"),
    Column("first_created_at", Instant, comment="when the first of them was created"),
    Column("last_created_at", Instant, comment="when the last was"),
    comment="one row for each `unique_id`, and each attachment within a project and type, of several tasks",
)

Table(
    "submissions",
    views,
    Column("command_id", BigInteger, comment="its `id` in `commands`"),
    Column("state", Text, comment="as in `commands`"),
    Column("outcome", Text, comment="as in `commands`"),
    Column("queued_at", Instant, comment="when it was queued"),
    Column("sent_at", Instant, comment="when it was last sent, unless that is proven without effect"),
    Column("settled_at", Instant, comment="when it became delivered, dead or discarded"),
    Column("sends", Integer, comment="how often it was sent"),
    Column("error_code", Integer, comment="HTTP status of the last failure"),
    Column("error", Text, comment="the API's words, or ours"),
    Column("unique_id", Text, comment="the task's, as queued"),
    Column("project", Text, comment="the task's, as queued"),
    Column("batch", Text, comment="the task's, as queued"),
    Column("type", Text, comment="the task's, as queued"),
    Column(
        "task_id",
        Text,
        comment="what the API named, else the task here with that `unique_id` (not if dead or discarded)",
    ),
    Column("task_status", Text, comment="of the task, once it is here"),
    Column("task_completed_at", Instant, comment="of the task, once it is here"),
    comment="one row for each command that creates a task",
)

Table(
    "annotation_findings",
    views,
    Column("rule", Text, comment="by its name; the page on findings says what each means"),
    Column("task_id", Text, comment="as in `annotations`"),
    Column("ordinal", BigInteger, comment="as in `annotations`; empty where it is about the task as a whole"),
    Column("detail", Text, comment="the numbers or words that explain it"),
    comment="one row for each annotation and rule that finds it wrong, and each such task",
)
