"""scalesync: a first sync of everything into a mirror that is empty."""

from scalesync import Mirror
from tests.benchmark.peers.protocol import held, measured, order, tell


def main() -> None:
    """Sync, and see that it is complete."""
    import scalesync.sync.runner  # noqa: F401 - what a sync loads when it begins

    asked = order()
    mirror = Mirror(asked.database, api_key=asked.key, api_url=asked.api)
    with measured() as told:
        done = mirror.sync(workers=asked.workers)
    told.requests = done.requests
    if not done.complete:
        raise ValueError("The sync did not complete.")
    told.tasks = held(asked)
    tell(told, asked)


if __name__ == "__main__":
    main()
