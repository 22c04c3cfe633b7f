"""S3 on this machine that loses one answer: an object of that name is stored, and its writer is refused.

`python -m tests.publish.lossy_store PORT END` refuses the first PUT of an object whose name has this end.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


class LossyStore:
    """A WSGI application before that of the store."""

    def __init__(self, end: str) -> None:
        """Lose the answer to the first PUT of an object whose name ends so."""
        self._end, self._lost = end, False
        self._store = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        answer: Iterable[bytes] = self._store(environ, start_response)
        if self._lost or environ["REQUEST_METHOD"] != "PUT" or not environ["PATH_INFO"].endswith(self._end):
            return answer
        self._lost = True
        list(answer)
        start_response("500 Internal Server Error", [("Content-Length", "0")])
        return []


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), LossyStore(sys.argv[2]), threaded=True)
