"""Make the official client as it is without packages that it does not need."""

import sys
from typing import Any

from tests.benchmark.peers.protocol import Job


def official_client(job: Job) -> Any:
    """Return a client of the job's API."""
    # dlt brings simplejson, which requests would use for every answer, and which is slower than json.
    sys.modules["simplejson"] = None  # type: ignore[assignment]
    import scaleapi

    return scaleapi.ScaleClient(job.key, api_instance_url=job.api)
