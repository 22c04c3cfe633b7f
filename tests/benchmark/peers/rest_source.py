"""dlt's rest_api source, which makes a table of tasks and child tables of what is nested in them."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.benchmark.peers.protocol import Order, held, measured, order, tell

DATASET = "copied"


def main() -> None:
    """Copy all tasks, merged by their id."""
    asked = order()
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    os.environ["DLT_DATA_DIR"] = asked.directory
    import dlt
    from dlt.sources.rest_api import rest_api_source

    client: Any = {
        "base_url": f"{asked.api}/",
        "auth": {"type": "http_basic", "username": asked.key, "password": ""},
        "paginator": {"type": "cursor", "cursor_path": "next_token", "cursor_param": "next_token"},
    }
    tasks: Any = {
        "name": "tasks",
        "primary_key": "task_id",
        "write_disposition": "merge",
        "endpoint": {"path": "tasks", "params": {"limit": 100}, "data_selector": "docs"},
    }
    destination: Any
    if asked.file:
        destination, dataset = dlt.destinations.sqlalchemy(asked.database), "main"
    else:
        destination, dataset = dlt.destinations.postgres(_with_host(asked)), DATASET
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(Path(asked.directory, "pipelines")),
        destination=destination,
        dataset_name=dataset,
    )
    with measured() as told:
        pipeline.run(rest_api_source({"client": client, "resources": [tasks]}))
    told.tasks = held(asked, f"{dataset}.tasks")
    tell(told, asked)


def _with_host(asked: Order) -> str:
    """Return the URL as dlt takes it: the socket's directory as host, and a password, which nobody asks."""
    url = urlsplit(asked.database)
    (host,) = parse_qs(url.query)["host"]
    return f"postgresql://{url.username}:none@{host.replace('/', '%2F')}{url.path}"


if __name__ == "__main__":
    main()
