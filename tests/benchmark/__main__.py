"""Run the benchmark and print its tables; exits with 1 if anything failed."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict

from rich.console import Console

from tests.benchmark import stages
from tests.benchmark.harness import Harness
from tests.benchmark.machine import machine, versions
from tests.benchmark.options import Options, parse
from tests.benchmark.plot import draw
from tests.benchmark.results import Results
from tests.benchmark.tables import markdown, show
from tests.benchmark.targets import Target, targets


def main() -> int:
    """Return the exit code."""
    options = parse(sys.argv[1:])
    progress = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    interrupted = cut_short = False
    with ExitStack() as stack:
        status = stack.enter_context(progress.status("beginning"))

        def say(text: str) -> None:
            progress.print(text)
            status.update(text)

        harness = Harness(options, say, stack)
        try:
            for name in options.only:
                cut_short |= not harness.play(name, stages.ALL[name])
        except KeyboardInterrupt:
            interrupted = True
            progress.print("Interrupted: the tables have all that was measured.")
        status.stop()
        write(harness.results, options, harness.postgres_version())
    failed = cut_short or any(one.failures for one in harness.results.all)
    return 130 if interrupted else int(failed)


def write(results: Results, options: Options, postgres: str | None) -> None:
    """Print the tables, and write the files that the options name."""
    reached, here, tools = targets(results), machine(), versions(postgres)
    show(results, reached, Console(width=None if sys.stdout.isatty() else 150, highlight=False, markup=False))
    if options.json is not None:
        whole = {"machine": here, "versions": tools, "options": asdict(options)} | _figures(results, reached)
        options.json.write_text(json.dumps(whole, indent=1, default=str) + "\n")
    if options.plot is not None:
        draw(results, options.plot, f"{here['date']}, {here['cores']} cores of {here['processor']}")
    named = ", ".join(f"{name} {number}" for name, number in tools.items())
    words = f"{here['date']}, {here['cores']} cores of {here['processor']}, {here['memory_gb']} GB; {named}."
    sys.stdout.write(f"{words}\n")
    if options.markdown:
        sys.stdout.write(f"\n{markdown(results, reached)}\n")


def _figures(results: Results, reached: Sequence[Target]) -> dict[str, object]:
    return {
        "corpora": {name: asdict(figures) for name, figures in results.corpora.items()},
        "results": [asdict(one) for one in results.all],
        "targets": [asdict(one) for one in reached],
    }


if __name__ == "__main__":
    sys.exit(main())
