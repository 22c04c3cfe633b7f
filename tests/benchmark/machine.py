"""Describe this machine, and the versions of all packages that take part."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "scalesync",
    "scaleapi",
    "sqlite-utils",
    "dlt",
    "SQLAlchemy",
    "psycopg",
    "msgspec",
    "requests",
    "urllib3",
    "uvicorn",
)


def machine() -> dict[str, object]:
    """Return date, processor and memory."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
    }


def versions(postgres: str | None) -> dict[str, str]:
    """Return the versions by name; `postgres` is the server's, None if none was started."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    if postgres:
        found["PostgreSQL"] = postgres
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
