"""The pure functions and words of the language."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cnnspec.expand.values import Function
from cnnspec.initialisers import Fan, Initialiser

LONGEST_LIST = 200_000


def round_to(value: float, multiple: int, *, least: int | None = None, limit: float = 0.9) -> int:
    """The multiple nearest to a value, never below ``limit`` times it.

    Source: `make_divisible` of Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018).
    """
    if multiple <= 0:
        raise ValueError("the multiple must be at least 1")
    rounded = max(least if least is not None else multiple, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded


def linspace(first: float, last: float, count: int) -> list[float]:
    """Evenly spaced numbers, both ends included."""
    if not 0 <= count <= LONGEST_LIST:
        raise ValueError(f"the count must be between 0 and {LONGEST_LIST:,}")
    return [first + (last - first) * i / (count - 1) for i in range(count)] if count > 1 else [first][:count]


def _flat(reduce: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: reduce(*values)


def _initialiser(distribution: str) -> Callable[..., Initialiser]:
    if distribution.startswith("he_"):
        return lambda fan="in": Initialiser(distribution=distribution, fan=_one_fan(fan))  # type: ignore[arg-type]
    if distribution.startswith(("lecun_", "glorot_")):
        return lambda: Initialiser(distribution=distribution)  # type: ignore[arg-type]
    if distribution == "constant":
        return lambda value: Initialiser(distribution="constant", value=value)
    if distribution in ("normal", "truncated_normal"):
        return lambda std, mean=0.0: Initialiser(distribution=distribution, scale=std, value=mean)  # type: ignore[arg-type]
    if distribution == "uniform":
        return lambda low, high: Initialiser(distribution="uniform", value=(low + high) / 2, scale=(high - low) / 2)
    return lambda gain=1.0: Initialiser(distribution="orthogonal", scale=gain)


def _one_fan(fan: Fan) -> Fan:
    if fan not in ("in", "out"):
        raise ValueError("the fan is `in` or `out`")
    return fan


def variance_scaling(scale: float, fan: Fan = "in", distribution: Any = "normal") -> Initialiser:
    """Variance ``scale / fan``.  The distribution is a word, though most often one that is a function's name too."""
    if scale <= 0:
        raise ValueError("the scale must be above 0")
    form: Any = distribution.name if isinstance(distribution, Function) else distribution
    return Initialiser(distribution="variance_scaling", scale=scale, fan=fan, form=form)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": _flat(min),
    "max": _flat(max),
    "ceil": math.ceil,
    "floor": math.floor,
    "round": lambda value: round(value),
    "sqrt": math.sqrt,
    "log2": math.log2,
    "len": len,
    "sum": sum,
    "range": range,
    "zip": lambda *lists: list(zip(*lists, strict=True)),
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "linspace": linspace,
    "round_to": round_to,
    "variance_scaling": variance_scaling,
    **{
        name: _initialiser(name)
        for name in (
            "constant",
            "normal",
            "truncated_normal",
            "uniform",
            "orthogonal",
            "he_normal",
            "he_uniform",
            "lecun_normal",
            "lecun_uniform",
            "glorot_normal",
            "glorot_uniform",
        )
    },
}
"""Every function by its name.  Half-way cases of `round` go to the even neighbour, as in IEEE 754."""

USAGE: dict[str, str] = {
    "min": "`min(a, b)` or `min([a, b, c])`, on numbers",
    "max": "`max(a, b)` or `max([a, b, c])`, on numbers",
    "ceil": "`ceil(x)`, on a number",
    "floor": "`floor(x)`, on a number",
    "round": "`round(x)`, on a number",
    "sqrt": "`sqrt(x)`, on a number of at least 0",
    "log2": "`log2(x)`, on a number above 0",
    "len": "`len([a, b, c])`, on a list or string",
    "sum": "`sum([a, b, c])`, on a list of numbers",
    "range": "`range(stop)`, `range(start, stop)` or `range(start, stop, step)`, on whole numbers, the step not 0",
    "zip": "`zip([a, b], [c, d])`, on lists of one length",
    "enumerate": "`enumerate([a, b, c])`, on a list or string",
    "linspace": "`linspace(first, last, count)`, on two numbers and a whole one",
    "round_to": "`round_to(x, multiple)`, on numbers, with a multiple of at least 1",
    "constant": "`constant(value)`",
    "normal": "`normal(std)` or `normal(std, mean)`",
    "truncated_normal": "`truncated_normal(std)` or `truncated_normal(std, mean)`",
    "uniform": "`uniform(low, high)`",
    "orthogonal": "`orthogonal` or `orthogonal(gain)`",
    "variance_scaling": "`variance_scaling(x, fan = out, distribution = truncated_normal)`, on a scale above 0",
    **{name: f"`{name}` or `{name}(fan = out)`" for name in ("he_normal", "he_uniform")},
    **{name: f"`{name}`" for name in ("lecun_normal", "lecun_uniform", "glorot_normal", "glorot_uniform")},
}
"""How every function is used, for the help line of a call that went wrong."""

INITIALISERS: dict[str, Initialiser] = {
    "zeros": Initialiser(distribution="zeros"),
    "ones": Initialiser(distribution="ones"),
    **{
        name: Initialiser(distribution=name)
        for name in (
            "he_normal",
            "he_uniform",
            "lecun_normal",
            "lecun_uniform",
            "glorot_normal",
            "glorot_uniform",
            "orthogonal",
        )
    },
}
"""Initialisers that need no number, by their word."""
