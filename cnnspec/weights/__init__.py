"""Weights: what training starts from, files of trained ones, and test values.

`initial` draws the spec's own initialisers; `read` and `write` go between files and arrays in the spec's layout, which
is PyTorch's; `draw` and `draw_inputs` give the values that implementations are compared on.
"""

from __future__ import annotations

from cnnspec.weights.drawing import draw, draw_inputs, draw_weight, generator_for, known
from cnnspec.weights.files import read, write
from cnnspec.weights.formats import MissingPackage, UnknownFormat, WeightError, WeightFiles
from cnnspec.weights.matching import Mismatch
from cnnspec.weights.starting import initial

__all__ = [
    "Mismatch", "MissingPackage", "UnknownFormat", "WeightError", "WeightFiles",
    "draw", "draw_inputs", "draw_weight", "generator_for", "initial", "known", "read", "write",
]  # fmt: skip
