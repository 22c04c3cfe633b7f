"""Where the `scalesync` command and `python -m scalesync` begin."""

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # looking for garbage among modules takes long and finds none; `all_loaded` enables it
    from scalesync.cli import streams

    streams.prepare()
    from scalesync.cli.main import cli

    try:
        cli(prog_name="scalesync")
    except OSError as error:
        if error is not streams.output_failure():
            raise
        from scalesync.cli.boundary import say
        from scalesync.cli.output import cannot_write

        sys.exit(say(cannot_write(error)))


if __name__ == "__main__":
    main()
