"""The errors that the API answers with."""


class HttpError(Exception):
    """The API answers a request with this status and `{"status_code": ..., "error": ...}` (recorded)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


TASK_NOT_FOUND = "Task with that ID not found."
"""The text of the 404 for an unknown task (recorded)."""


def not_found(kind: str, name: str) -> HttpError:
    """Return the 404 for an unknown batch or project (wording assumed)."""
    return HttpError(404, f'{kind} with name "{name}" not found.')
