"""scalesync: a verification of a finished mirror."""

from scalesync import Mirror
from tests.benchmark.peers.protocol import held, measured, order, tell


def main() -> None:
    """Verify, and see that the mirror is proven."""
    asked = order()
    mirror = Mirror(asked.database, api_key=asked.key, api_url=asked.api)
    with measured() as told:
        found = mirror.verify(workers=asked.workers)
    told.requests, told.tasks = found.requests, held(asked)
    if not found.proven:
        raise ValueError(f"{len(found.drift)} differ, and {found.unproven}")
    tell(told, asked)


if __name__ == "__main__":
    main()
