"""Names in generated Python."""

from __future__ import annotations

import builtins
import keyword
import re

RESERVED = {"self", "torch", "nn", "F", "Tensor", "keras", "layers", "ops", "name", "np", "numpy"}


def snake_case(name: str) -> str:
    """``InvertedResidual`` as ``inverted_residual``, ``FusedMBConv`` as ``fused_mb_conv``, ``Conv2D`` as ``conv2d``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])|(?<=[A-Z]{2})(?=[A-Z][a-z])", "_", name)
    return safe(re.sub(r"_+", "_", spaced).lower())


def function_name(name: str) -> str:
    """The function that builds a model: its name in lower case, as the zoo writes it."""
    return safe(name.lower())


def class_name(label: str) -> str:
    """A class for a group: its label in camel case."""
    parts = re.split(r"[^A-Za-z0-9]+", label)
    return safe("".join(part[:1].upper() + part[1:] for part in parts) or "Group")


def unnumbered(label: str) -> str:
    """What a label says besides numbers: ``reduction_pad`` of ``reduction_pad_1``; empty where it is a number."""
    words = [re.sub(r"^([A-Za-z]{2,})\d+$", r"\1", word) for word in re.split(r"[\W_]+", label)]
    return "_".join(word for word in words if word and not word.isdigit())


def safe(name: str) -> str:
    """An identifier that shadows nothing the generated code needs."""
    name = re.sub(r"\W", "_", name)
    if not name or name[0].isdigit():
        name = f"_{name}"
    if keyword.iskeyword(name) or name in RESERVED or hasattr(builtins, name):
        return f"{name}_"
    return name
