"""Entry point of the `scalesync` command and of `python -m scalesync`."""

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # Collections while modules are loaded are slow and find nothing; `enable_gc` turns them on again.
    gc.disable()
    from scalesync.cli import std_streams

    std_streams.prepare()
    from scalesync.cli.main import cli

    try:
        cli(prog_name="scalesync")
    except OSError as error:
        # Output that cannot be written is reported once; any other OSError is a mistake in this program.
        if error is not std_streams.output_failure():
            raise
        from scalesync.cli.error_handling import report_error
        from scalesync.cli.output import output_error

        sys.exit(report_error(output_error(error)))


if __name__ == "__main__":
    main()
