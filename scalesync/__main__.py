"""Where the `scalesync` command and `python -m scalesync` begin."""

from scalesync.cli.main import cli


def main() -> None:
    """Run the command line and exit with its code."""
    cli(prog_name="scalesync")


if __name__ == "__main__":
    main()
