"""Initialisers: how a weight starts, as data.

The fans are those of Glorot and Bengio (2010): for a kernel ``O x I/groups x k...`` the fan in is ``I/groups *
prod(k)`` and the fan out ``O * prod(k)``; for a dense layer they are its inputs and outputs.  Every normal
distribution is a true normal, cut off only where the name says so.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, model_validator

Distribution = Literal[
    "zeros", "ones", "constant", "normal", "truncated_normal", "uniform",
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
    "variance_scaling", "orthogonal",
]  # fmt: skip
Fan = Literal["in", "out", "avg"]
Form = Literal["normal", "truncated_normal", "uniform"]

TRUNCATED_DEVIATION = 0.87962566103423978
"""The standard deviation of a standard normal that is cut off at two standard deviations.

Its square is ``1 - 4 * pdf(2) / (2 * cdf(2) - 1)``.
"""


class Scaling(NamedTuple):
    """A distribution of mean 0 and variance ``scale / fan``."""

    scale: float
    fan: Fan
    form: Form

    def deviation(self, fan_in: float, fan_out: float) -> float:
        """The standard deviation for a weight with these fans."""
        fan = {"in": fan_in, "out": fan_out, "avg": (fan_in + fan_out) / 2}[self.fan]
        return sqrt(self.scale / fan)


_FAMILIES: dict[str, tuple[float, Fan]] = {"glorot": (1.0, "avg"), "he": (2.0, "in"), "lecun": (1.0, "in")}


class Initialiser(BaseModel):
    """A distribution and its numbers.

    ``constant`` fills with ``value``; ``normal`` and ``truncated_normal`` have mean ``value`` and standard deviation
    ``scale`` (the truncated one is cut at two standard deviations of the normal it is cut from, and not rescaled);
    ``uniform`` spans ``value - scale`` to ``value + scale``; ``orthogonal`` has gain ``scale``.  ``glorot_*`` have
    variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio 2010), ``he_*`` ``2 / fan_in``, or ``2 / fan_out`` where
    ``fan`` is ``out`` (He et al. 2015), ``lecun_*`` ``1 / fan_in`` (LeCun et al. 1998).  ``variance_scaling`` has
    variance ``scale`` over ``fan``, which may be ``avg``, the mean of both, and the ``form`` of a normal, a truncated
    normal or a uniform distribution; truncated it keeps the variance, being cut from a wider normal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    distribution: Distribution
    value: float = 0.0
    scale: float = 1.0
    fan: Fan = "in"
    form: Form = "normal"

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        """A plain number stands for the constant."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return {"distribution": "constant", "value": value}
        return value

    @property
    def needs_fans(self) -> bool:
        """Whether it is defined only for weights that have inputs and outputs."""
        return self.scaling is not None or self.distribution == "orthogonal"

    @property
    def scaling(self) -> Scaling | None:
        """What it is as a variance over a fan, if it is defined by one."""
        if self.distribution == "variance_scaling":
            return Scaling(self.scale, self.fan, self.form)
        family, _, form = self.distribution.partition("_")
        if family not in _FAMILIES:
            return None
        scale, fan = _FAMILIES[family]
        return Scaling(scale, self.fan if family == "he" else fan, cast(Form, form))


ZEROS = Initialiser(distribution="zeros")
ONES = Initialiser(distribution="ones")
GLOROT_UNIFORM = Initialiser(distribution="glorot_uniform")
