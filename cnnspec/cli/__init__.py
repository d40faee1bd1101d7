"""The command line.  Nothing is imported before a command needs it: a check must be instant."""

from __future__ import annotations


def main() -> None:
    """Run the command that the process was started with, and end the process."""
    import gc
    import sys

    # A command is short and makes next to no cycles: collections would only look at all objects again and again.
    gc.disable()
    from cnnspec.cli.application import run

    status = run()
    # Spares the interpreter its last collections, which would take as long as a check.
    gc.freeze()
    sys.exit(status)
