"""The `cnnspec` command: finds its subcommands, and turns every failure into a message and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import click
from typing_extensions import override

from cnnspec.version import __version__

ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
COMMANDS = (
    "check",
    "summary",
    "compile",
    "verify",
    "fuzz",
    "weights",
    "fmt",
    "list",
    "show",
    "layers",
    "graph",
    "completion",
)
"""Each is `command` in the module of its name."""
INTERRUPTED = 130
OUR_MISTAKE = 3


class Application(click.Group):
    """A group whose commands are imported when they are asked for."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"cnnspec.cli.{cmd_name}").command
        return command

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from cnnspec.diagnostics import nearest

            near = nearest(name, COMMANDS)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command `{name}`; {hint}", ctx)
        return super().resolve_command(ctx, args)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        from cnnspec.cli.output import complain
        from cnnspec.diagnostics import SpecError

        try:
            return super().invoke(ctx)
        except SpecError as error:
            complain(error.diagnostics, error.sources)
            ours = any(diagnostic.code == "internal-error" for diagnostic in error.diagnostics)
            ctx.exit(OUR_MISTAKE if ours else 1)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort, OSError):
            raise
        except RecursionError:
            click.echo("error: this nests too deep to be worked on", err=True)
            ctx.exit(1)
        except MemoryError:
            click.echo("error: this takes more memory than there is", err=True)
            ctx.exit(1)
        except Exception as error:
            place = _place(error)
            click.echo(f"internal error: {type(error).__name__}: {error} ({place})", err=True)
            click.echo("This is a mistake in cnnspec; please report it together with the spec.", err=True)
            ctx.exit(OUR_MISTAKE)


def _place(error: Exception) -> str:
    """Where an exception was raised, as ``file:line``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"


@click.group(cls=Application, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cnnspec")
def application() -> None:
    """A small language for convolutional networks: checked at once, compiled to code that agrees.

    SPEC is a file, the name of a shipped network (`cnnspec list` shows them), or `-` for standard input.

    Results go to standard output, diagnostics to standard error.  The exit status is 0 if all is well, 1 if the spec or
    the check failed, 2 for wrong usage.
    """


def _end(number: int, frame: FrameType | None) -> None:
    """Leave as after Ctrl-C: other processes are ended, and files for the moment removed."""
    raise SystemExit(128 + number)


def run() -> int:
    """Run the command line of this process; its exit status."""
    for number in ENDINGS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    for stream in (sys.stdout, sys.stderr):
        # Specs and paths may have what the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            application(prog_name="cnnspec")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        sys.stdout.flush()
    except OSError as error:
        # The reader is gone, as in `cnnspec list | head -1`, or the disk is full: what is left cannot be written.
        if not isinstance(error, BrokenPipeError):
            click.echo(f"error: {error}", err=True)
        status = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        status = INTERRUPTED
    return status
