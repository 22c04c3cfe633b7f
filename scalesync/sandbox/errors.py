"""How the API says no."""


class RefusalError(Exception):
    """A request is answered with an HTTP error, as `{"status_code": ..., "error": ...}` (recorded)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


TASK_NOT_FOUND = "Task with that ID not found."
"""The API's own words for an unknown task (recorded)."""


def missing(kind: str, name: str) -> RefusalError:
    """Return the 404 for a batch or a project of that name (wording assumed)."""
    return RefusalError(404, f'{kind} with name "{name}" not found.')
