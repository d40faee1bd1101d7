"""The layer reference, written from the classes: signature, arguments and documentation of each."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

from pydantic.fields import FieldInfo

from cnnspec.initialisers import Initialiser
from cnnspec.layers import categories
from cnnspec.layers.base import Layer, Unset, expects

_HEAD = """\
# Layers

Written by `cnnspec layers`; the source is each layer's class in `cnnspec/layers/`. Do not edit.

Shapes are channels first and without the batch: `C`, `CxL`, `CxHxW` or `CxDxHxW`; axis 0 is the channels. Positional
arguments come in the order of the signature; one without a default must be given. The defaults are the language's own.
"""


def signature(layer: type[Layer]) -> str:
    """The layer as a spec writes it, ``conv(filters, kernel, stride = 1, ...)``; without arguments its keyword."""
    parts = []
    for name, field in layer.model_fields.items():
        parts.append(name if field.is_required() else f"{name} = {_default(field)}")
    return f"{layer.kind}({', '.join(parts)})" if parts else layer.kind


def describe(layer: type[Layer]) -> str:
    """One entry of the reference, in Markdown."""
    # Lines break between arguments only, never inside `stride = 1`.
    whole = signature(layer).replace(" = ", "\0=\0")
    head = textwrap.fill(whole, 100, subsequent_indent="    ", break_on_hyphens=False).replace("\0", " ")
    lines = [f"### `{layer.kind}`", "", "```", head, "```", ""]
    text = inspect.cleandoc(layer.__doc__ or "").replace("``", "`")
    # Each of these opens a line of its own; in Markdown that takes an empty line.
    text = re.sub(r"\n+(?=(?:Output|Weights|Cost|Source): )", "\n\n", text)
    summary, _, rest = text.partition("\n")
    lines += [summary, *_inputs(layer), rest]
    if layer.model_fields:
        lines += ["", "| argument | takes | default |", "|---|---|---|"]
        for name, field in layer.model_fields.items():
            default = "" if field.is_required() else f"`{_default(field)}`"
            lines.append(f"| `{name}` | {expects(layer, name)} | {default} |")
    return "\n".join(lines).strip() + "\n"


def reference() -> str:
    """The whole reference, in Markdown: the text of ``docs/layers.md``."""
    parts = [_HEAD]
    for heading, layers in categories().items():
        parts.append(f"## {heading}\n")
        parts.extend(describe(layer) for layer in layers)
    return "\n".join(parts)


def _inputs(layer: type[Layer]) -> list[str]:
    fewest, most = layer.inputs
    if (fewest, most) == (1, 1):
        return []
    if most is None:
        return ["", f"Takes {fewest} or more inputs."]
    return ["", f"Takes {most} inputs." if most else "Takes no input."]


def _default(field: FieldInfo) -> str:
    for note in field.metadata:
        if isinstance(note, Unset):
            return note.text
    return _written(field.default)


def _written(value: Any) -> str:
    """A default in the language's syntax."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return re.sub(r"e([+-])0+", r"e\1", repr(value)).replace("e+", "e")
    if isinstance(value, Initialiser):
        return _written(value.value) if value.distribution == "constant" else value.distribution
    return str(value)


__all__ = ["describe", "reference", "signature"]
