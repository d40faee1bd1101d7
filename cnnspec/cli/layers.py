"""``cnnspec layers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from cnnspec.cli.output import as_json
from cnnspec.cli.selection import as_json_option

if TYPE_CHECKING:
    from cnnspec.layers.base import Layer


class Kind(click.types.StringParamType):
    """The keyword of a layer."""

    name = "layer"

    @override
    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from cnnspec.layers import LAYERS

        return [CompletionItem(kind) for kind in LAYERS if kind.startswith(incomplete)]


@click.command("layers", short_help="Tell about the layers.")
@click.argument("name", required=False, type=Kind())
@click.option("--markdown", is_flag=True, help="Write the whole reference, as in docs/layers.md.")
@as_json_option
def command(name: str | None, markdown: bool, as_data: bool) -> None:
    """List the layers of the language, or tell all about one."""
    from cnnspec.layers import LAYERS, categories, reference

    if name is not None and name not in LAYERS:
        from cnnspec.diagnostics import nearest
        from cnnspec.layers.elsewhere import layer_called

        meant = layer_called(name) or next(iter(nearest(name, LAYERS)), None)
        hint = f"did you mean `{meant}`?" if meant else "`cnnspec layers` lists all"
        raise click.UsageError(f"there is no layer `{name}`; {hint}")
    if as_data:
        chosen = [LAYERS[name]] if name is not None else list(LAYERS.values())
        data = [_data(layer) for layer in chosen]
        click.echo(as_json(data[0] if name is not None else data))
    elif name is not None:
        click.echo(reference.describe(LAYERS[name]), nl=False)
    elif markdown:
        click.echo(reference.reference(), nl=False)
    else:
        blocks = []
        for heading, layers in categories().items():
            width = max(len(layer.kind) for layer in layers)
            lines = [f"  {layer.kind.ljust(width)}  {_summary(layer)}" for layer in layers]
            blocks.append("\n".join([heading, *lines]))
        click.echo("\n\n".join(blocks))


def _summary(layer: type[Layer]) -> str:
    return (layer.__doc__ or "").strip().partition("\n")[0].replace("``", "`")


def _data(layer: type[Layer]) -> dict[str, Any]:
    from cnnspec.layers import reference

    return {
        "kind": layer.kind,
        "category": layer.category,
        "signature": reference.signature(layer),
        "summary": _summary(layer),
        "reference": reference.describe(layer),
    }
