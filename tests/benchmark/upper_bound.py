"""Measure how fast the server is: the most that any client could get from it."""

import json
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.benchmark.server import Api

PASSES = 3


def upper_bound(api: Api) -> float:
    """Return the tasks a second of one bare keep-alive client that decodes nothing but the token."""
    return max(_pass(api) for _ in range(PASSES))


def _pass(api: Api) -> float:
    address = urlsplit(api.url)
    connection = HTTPConnection(address.netloc)
    began, tasks, token = time.perf_counter(), 0, ""
    while True:
        connection.request("GET", f"{address.path}/tasks?limit=100&next_token={token}")
        body = connection.getresponse().read()
        tail = json.loads(b"{" + body[body.rindex(b'"total"') :])
        tasks = tail["total"]
        if not tail["has_more"]:
            break
        token = tail["next_token"]
    connection.close()
    return float(tasks / (time.perf_counter() - began))
