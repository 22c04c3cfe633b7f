"""scalesync: a first sync of everything into an empty mirror, or the rest of one that was interrupted."""

from scalesync import Mirror
from tests.benchmark.peers.protocol import Report, print_counts, read_job


def main() -> None:
    """Sync. Raises ValueError if that is not complete."""
    job, report = read_job(), Report()
    done = Mirror(job.database, api_key=job.key, api_url=job.api).sync(workers=job.workers)
    if not done.complete:
        raise ValueError("The sync did not complete.")
    report.requests = done.requests
    print_counts(report, job, annotations="annotations")


if __name__ == "__main__":
    main()
