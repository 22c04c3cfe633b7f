"""Where the `scalesync` command and `python -m scalesync` begin."""

import gc


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # looking for garbage among modules takes long and finds none; `all_loaded` enables it
    from scalesync.cli.main import cli

    cli(prog_name="scalesync")


if __name__ == "__main__":
    main()
