"""Provide keyrings that PYTHON_KEYRING_BACKEND can name."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

FILE = "KEYRING_FILE"
"""The variable that names the file of Written."""


class Written(KeyringBackend):
    """Keeps everything in a file of JSON, in the open: {service: {user: password}}."""

    priority = 0.1  # below what the library would choose by itself

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def get_password(self, service: str, username: str) -> str | None:
        """Return what the file says, None where it says nothing."""
        held: dict[str, dict[str, str]] = json.loads(Path(os.environ[FILE]).read_text())
        return held.get(service, {}).get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Refuse: tests write the file themselves."""
        raise NotImplementedError


class Failing(Written):
    """Answers nothing but an error, and notes that it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error or KeyringLocked("It is locked. Ask again.\nAnd again")
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002 - the library's call
        """Raise the error."""
        self.asked += 1
        raise self.error
