"""What commands write, and where: results to standard output, diagnostics to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from cnnspec.diagnostics import Diagnostic, render


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: as `--color` says, else on a terminal unless ``NO_COLOR`` is set."""
    context = click.get_current_context(silent=True)
    if context is not None and context.color is not None:
        return context.color
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def complain(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], style: str = "full") -> None:
    """Write diagnostics to standard error: ``full`` with their sources, ``short`` a line each, or ``json``."""
    found = list(diagnostics)
    if style == "json":
        click.echo(as_json([d.as_json() for d in found]), err=True)
    elif found:
        colour = wants_colour(sys.stderr)
        text = render(found, sources, colour=colour, short=style == "short")
        click.echo(text if style == "short" else text + "\n", err=True, color=colour)


def as_json(data: Any) -> str:
    """Data as JSON for people and programs."""
    import json

    return json.dumps(data, indent=2, ensure_ascii=False)


def place_for(path: Path) -> Path:
    """The place of a file to be written; raises a `click.UsageError` where there can be none."""
    target = path.resolve()
    if not target.parent.is_dir():
        raise click.UsageError(f"cannot write `{path}`: there is no folder `{path.parent}`")
    if target.is_dir():
        raise click.UsageError(f"cannot write `{path}`: it is a folder")
    return target


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises a `click.UsageError` where it cannot be written."""
    target = place_for(path)
    try:
        if target.exists() and not target.is_file():  # a device or a pipe, which must not be replaced by a file
            target.write_text(text, encoding="utf-8", newline="\n")
            return
        fresh = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
        try:
            fresh.write_text(text, encoding="utf-8", newline="\n")
            if target.exists():
                fresh.chmod(target.stat().st_mode)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise click.UsageError(f"cannot write `{path}`: {error.strerror or error}") from None
