"""Who holds a lease: a name that other processes on this machine can tell the life or death of."""

import os
import socket
import uuid
from functools import cache
from pathlib import Path


def new_owner_id() -> str:
    """Return a name for this process that no other process, here or elsewhere, ever had."""
    return f"{_place()}/{os.getpid()}/{uuid.uuid4().hex}"


def owner_is_dead(owner: str) -> bool:
    """Return whether `owner` is a process of this machine that is gone, so that its leases are free at once.

    Owners elsewhere are never called dead: their leases run out instead.
    """
    place, _, rest = owner.rpartition("/")[0].rpartition("/")
    if place != _place() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _place() -> str:
    """Return host, boot and process namespace: within one of each, a process number names a process."""
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    if boot.exists():
        parts.append(boot.read_text().strip()[:8])
    if namespace.is_symlink():
        parts.append(namespace.readlink().name.strip("pid:[]"))
    return "-".join(parts).replace("/", "-")
