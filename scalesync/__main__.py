"""Where the `scalesync` command and `python -m scalesync` begin."""

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # looking for garbage among modules takes long and finds none; `enable_gc` enables it
    from scalesync.cli import std_streams

    std_streams.prepare()
    from scalesync.cli.main import cli

    try:
        cli(prog_name="scalesync")
    except OSError as error:
        if error is not std_streams.output_failure():
            raise
        from scalesync.cli.error_handling import say
        from scalesync.cli.output import cannot_write

        sys.exit(say(cannot_write(error)))


if __name__ == "__main__":
    main()
