"""Names of lease owners, from which other processes of this machine see whether the owner is alive."""

import os
import socket
import uuid
from functools import cache
from pathlib import Path


def new_owner_id() -> str:
    """Return a name for this process that no other process, on any machine, ever had."""
    return f"{_place()}/{os.getpid()}/{uuid.uuid4().hex}"


def owner_is_dead(owner: str) -> bool:
    """Return whether `owner` is a process of this machine that is gone: its leases can be released.

    False for owners on other machines: their leases run out.
    """
    place, _, rest = owner.rpartition("/")[0].rpartition("/")
    if place != _place() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # It is alive, under another user.
        return False
    return False


@cache
def _place() -> str:
    """Return host, boot and process namespace as one text without slashes."""
    # A number means one process only within all three: containers share a boot, and perhaps a host name.
    # Numbers are reused: then a dead owner looks alive until its lease runs out.
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    if boot.exists():
        parts.append(boot.read_text().strip()[:8])
    if namespace.is_symlink():
        parts.append(namespace.readlink().name.strip("pid:[]"))
    return "-".join(parts).replace("/", "-")
