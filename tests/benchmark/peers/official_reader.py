"""Scale's official client: read every task, and look at its fields."""

from tests.benchmark.peers.official_client import official_client
from tests.benchmark.peers.protocol import Report, print_report, read_job
from tests.benchmark.peers.reader import boxes


def main() -> None:
    """Read all of them."""
    job, report = read_job(), Report()
    report.tasks, report.annotations = boxes(official_client(job), paged=job.paged)
    print_report(report, job)


if __name__ == "__main__":
    main()
