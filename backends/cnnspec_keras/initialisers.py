"""Initialisers that several layers of a generated file share, as constants at its top."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

from cnnspec.codegen.emission import literal, readable
from cnnspec.codegen.layout import Bracket, Part, Writer
from cnnspec.codegen.naming import snake_case

PREFIX = "keras.initializers."
_KEYS = {
    "VarianceScaling": ("scale", "mode", "distribution"),
    "RandomNormal": ("mean", "stddev"),
    "TruncatedNormal": ("mean", "stddev"),
    "RandomUniform": ("minval", "maxval"),
    "Constant": ("value",),
    "Orthogonal": ("gain",),
}
_FAMILIES = {(2.0, "fan_in"): "he", (2.0, "fan_out"): "he", (1.0, "fan_avg"): "glorot", (1.0, "fan_in"): "lecun"}


def constants(calls: Iterable[str], taken: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """A name for each of these calls of an initialiser, and the lines that define the names.

    The constants are configurations and no objects: in Keras, an initialiser draws the same values whenever it is
    called with the same shape.  A call that depends on an argument of the model is left out; no name is in ``taken``.
    """
    names: dict[str, str] = {}
    writer = Writer()
    for call in calls:
        kind, _, inner = call.removeprefix(PREFIX).partition("(")
        try:
            values = ast.literal_eval(f"[{inner[:-1]}]")
        except (ValueError, SyntaxError):
            continue
        first = name = _name(kind, values)
        count = 1
        while name in taken or name in names.values():
            count += 1
            name = f"{first}_{count}"
        names[call] = name
        config = [f'"{key}": {readable(literal(value))}' for key, value in zip(_KEYS[kind], values, strict=False)]
        parts: list[Part] = [f'"class_name": "{kind}"', Bracket("{", list(config), "}", prefix='"config": ')]
        writer.put(f"{name} = ", Bracket("{", parts, "}"))
    if names:
        writer.lines.insert(0, "# No objects, since one would draw the same values for all weights of one shape.")
    return names, writer.lines


def _name(kind: str, values: list[object]) -> str:
    if kind != "VarianceScaling":
        return snake_case(kind).upper()
    scale, mode, distribution = values
    family = _FAMILIES.get((scale, mode), "variance_scaling")  # type: ignore[arg-type]
    fan = f"_{mode}" if (family, mode) in (("he", "fan_out"), ("variance_scaling", mode)) else ""
    return f"{family}_{str(distribution).removeprefix('untruncated_')}{fan}".upper()
