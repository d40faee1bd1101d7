"""The command line.  Nothing is imported before a command needs it: a check must be instant."""

from __future__ import annotations


def main() -> None:
    """Run the command that the process was started with, and end the process."""
    import gc
    import os
    import sys

    # A command is short and makes next to no cycles: collections would only look at all objects again and again.
    gc.disable()
    # Pydantic would look through all installed distributions for plugins, and import those it finds.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from cnnspec.cli.application import run

    status = run()
    # Spares the interpreter its last collections, which take as long as a check.
    gc.freeze()
    sys.exit(status)
