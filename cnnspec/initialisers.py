"""Initialisers: how a weight starts, as data.

The fans are those of Glorot and Bengio (2010): for a kernel ``O x I/groups x k...`` the fan in is ``I/groups *
prod(k)`` and the fan out ``O * prod(k)``; for a dense layer they are its inputs and outputs.  Every normal
distribution is a true normal, cut off only where the name says so.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

Distribution = Literal[
    "zeros", "ones", "constant", "normal", "truncated_normal", "uniform",
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal",
]  # fmt: skip


class Initialiser(BaseModel):
    """A distribution and its numbers.

    ``constant`` fills with ``value``; ``normal`` and ``truncated_normal`` have mean ``value`` and standard deviation
    ``scale`` (the truncated one is cut at two standard deviations of the normal it is cut from, and not rescaled);
    ``uniform`` spans ``value - scale`` to ``value + scale``; ``orthogonal`` has gain ``scale``.  ``glorot_*`` have
    variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio 2010), ``he_*`` ``2 / fan_in``, or ``2 / fan_out`` where
    ``fan`` is ``out`` (He et al. 2015), ``lecun_*`` ``1 / fan_in`` (LeCun et al. 1998).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    distribution: Distribution
    value: float = 0.0
    scale: float = 1.0
    fan: Literal["in", "out"] = "in"

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
        return self.distribution.startswith(("glorot", "he_", "lecun", "orthogonal"))


ZEROS = Initialiser(distribution="zeros")
ONES = Initialiser(distribution="ones")
GLOROT_UNIFORM = Initialiser(distribution="glorot_uniform")
