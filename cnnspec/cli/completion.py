"""``cnnspec completion``."""

from __future__ import annotations

import click


@click.command("completion", short_help="Write a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Write the script that makes a shell complete commands, options, networks and layers.

    For bash, put `eval "$(cnnspec completion bash)"` into ~/.bashrc; so for zsh into ~/.zshrc.  For fish, write the
    script to ~/.config/fish/completions/cnnspec.fish.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = click.get_current_context().find_root()
    click.echo(found(root.command, {}, "cnnspec", "_CNNSPEC_COMPLETE").source())
