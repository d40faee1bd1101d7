"""The layers, one class each, a file for each family; `LAYERS` finds them by keyword."""

from __future__ import annotations

from abc import ABC

from cnnspec.layers import (
    activation,
    arithmetic,
    arrangement,
    convolution,
    dense,
    normalisation,
    pooling,
    regularisation,
)
from cnnspec.layers.base import Layer

_FAMILIES = (convolution, dense, pooling, normalisation, regularisation, arrangement, arithmetic, activation)
"""In the order of the reference."""

LAYERS: dict[str, type[Layer]] = {
    member.kind: member
    for family in _FAMILIES
    for member in vars(family).values()
    # What a family's classes have in common stands in a class with ABC among its own bases: no layer by itself.
    if isinstance(member, type)
    and issubclass(member, Layer)
    and member.__module__ == family.__name__
    and ABC not in member.__bases__
}
"""Every layer by its keyword, in the order of the reference."""


def categories() -> dict[str, list[type[Layer]]]:
    """The layers under the headings of the reference."""
    headings: dict[str, list[type[Layer]]] = {}
    for layer in LAYERS.values():
        headings.setdefault(layer.category, []).append(layer)
    return headings


__all__ = ["LAYERS", "Layer", "categories"]
