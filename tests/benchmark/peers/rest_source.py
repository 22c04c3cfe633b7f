"""dlt's rest_api source, which makes a table of tasks, and child tables of the lists in them.

Irregular responses are one column of JSON, by a hint that dlt has for it.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.benchmark.peers.protocol import Job, Report, print_counts, read_job

DATASET = "copied"


def main() -> None:
    """Copy all tasks, merged by their id."""
    job = read_job()
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    os.environ["DLT_DATA_DIR"] = job.directory
    import dlt
    from dlt.sources.rest_api import rest_api_source

    client: Any = {
        "base_url": f"{job.api}/",
        "auth": {"type": "http_basic", "username": job.key, "password": ""},
        "paginator": {"type": "cursor", "cursor_path": "next_token", "cursor_param": "next_token"},
    }
    tasks: Any = {
        "name": "tasks",
        "primary_key": "task_id",
        "write_disposition": "merge",
        "endpoint": {"path": "tasks", "params": {"limit": 100}, "data_selector": "docs"},
    }
    if job.irregular:
        # With a column for each field, tables of irregular responses outgrow what databases allow.
        tasks["columns"] = {"response": {"data_type": "json"}}
    destination: Any
    if job.file:
        destination, dataset = dlt.destinations.sqlalchemy(job.database), "main"
    else:
        destination, dataset = dlt.destinations.postgres(_with_host(job)), DATASET
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(Path(job.directory, "pipelines")),
        destination=destination,
        dataset_name=dataset,
    )
    pipeline.run(rest_api_source({"client": client, "resources": [tasks]}))
    print_counts(Report(), job, tasks=f"{dataset}.tasks")


def _with_host(job: Job) -> str:
    """Return the URL as dlt needs it: the socket's directory as host, and any password."""
    url = urlsplit(job.database)
    (host,) = parse_qs(url.query)["host"]
    return f"postgresql://{url.username}:none@{host.replace('/', '%2F')}{url.path}"


if __name__ == "__main__":
    main()
