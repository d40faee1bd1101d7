"""``cnnspec fmt``."""

from __future__ import annotations

from pathlib import Path

import click

from cnnspec.cli.output import complain, write_whole
from cnnspec.cli.selection import coloured


@click.command("fmt", short_help="Put specs into canonical form.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--check", is_flag=True, help="Change nothing; fail if a file is not in canonical form.")
@click.option("--diff", is_flag=True, help="Change nothing; show what would change, and fail if something would.")
@coloured
def command(files: tuple[str, ...], check: bool, diff: bool) -> None:
    """Put specs into their canonical form, in place.  `-` reads standard input and writes standard output."""
    from cnnspec import loading
    from cnnspec.diagnostics import SpecError
    from cnnspec.syntax.format import format_source

    failed = False
    for file in files:
        try:
            text = loading.find(file).text if file == "-" else loading.read(Path(file), file)
            formatted = format_source(text, "<stdin>" if file == "-" else file)
        except SpecError as error:
            complain(error.diagnostics, error.sources)
            failed = True
            continue
        if check or diff:
            if formatted != text:
                failed = True
                if diff:
                    click.echo(_difference(text, formatted, file), nl=False)
                else:
                    click.echo(f"{file} is not in canonical form", err=True)
        elif file == "-":
            click.echo(formatted, nl=False)
        elif formatted != text:
            write_whole(Path(file), formatted)
            click.echo(f"formatted {file}", err=True)
    if failed:
        click.get_current_context().exit(1)


def _difference(before: str, after: str, name: str) -> str:
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (formatted)", lineterm="")
    return "".join(f"{line}\n" for line in lines)
