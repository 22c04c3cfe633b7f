"""The official client, as somebody has it who has installed nothing but that."""

import sys
from typing import Any

from tests.benchmark.peers.protocol import Order


def official_client(asked: Order) -> Any:
    """Return a client for the API in question."""
    # dlt brings simplejson, which requests would use for every answer, and which is slower than json.
    sys.modules["simplejson"] = None  # type: ignore[assignment]
    import scaleapi

    return scaleapi.ScaleClient(asked.key, api_instance_url=asked.api)
