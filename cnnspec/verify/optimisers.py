"""A few steps of training, by the same lines on every target.

Frameworks' own optimisers differ (where momentum meets a changing rate, how weights decay, where Adam adds its
epsilon), and that would say nothing about the network.  Here each target gives its own gradients, and NumPy does the
rest; a difference is the network's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Any, Protocol

from cnnspec.verify.exchange import Method

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

LARGEST_NORM = 1.0


class Optimiser(Protocol):
    """From weights and gradients by key to new weights, step by step."""

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> dict[str, Array]:
        """The weights after one more step; what was given stays as it is."""
        ...


@dataclass(slots=True)
class Sgd:
    """``g += decay * w;  v = momentum * v + g;  w -= rate * v``, as in PyTorch; the rate falls with every step."""

    rate: float = 0.1
    fall: float = 0.8
    momentum: float = 0.9
    decay: float = 1e-2
    steps: int = 0
    velocities: dict[str, Array] = field(default_factory=dict)

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> dict[str, Array]:
        rate = self.rate * self.fall**self.steps
        self.steps += 1
        after: dict[str, Array] = {}
        for key, gradient in clipped(gradients):
            moved = gradient + self.decay * weights[key]
            if key in self.velocities:
                moved += self.momentum * self.velocities[key]
            self.velocities[key] = moved
            after[key] = weights[key] - rate * moved
        return after


@dataclass(slots=True)
class Adam:
    """Adam as PyTorch has it, where epsilon is added behind the correction of the second moment, with decoupled decay.

    ``w -= rate * decay * w`` (AdamW), then ``w -= rate * (m / c1) / (sqrt(v / c2) + epsilon)``.
    """

    rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 1e-2
    steps: int = 0
    first: dict[str, Array] = field(default_factory=dict)
    second: dict[str, Array] = field(default_factory=dict)

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> dict[str, Array]:
        self.steps += 1
        size = self.rate / (1 - self.beta1**self.steps)
        correction = sqrt(1 - self.beta2**self.steps)
        after: dict[str, Array] = {}
        for key, gradient in clipped(gradients):
            first = self.first[key] = self.beta1 * self.first.get(key, 0.0) + (1 - self.beta1) * gradient
            second = self.second[key] = self.beta2 * self.second.get(key, 0.0) + (1 - self.beta2) * gradient**2
            kept = weights[key] * (1 - self.rate * self.decay)
            after[key] = kept - size * first / (second**0.5 / correction + self.epsilon)
        return after


def clipped(gradients: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """The gradients by key, all times the same factor where together they are longer than `LARGEST_NORM`.

    The scalar that they belong to is arbitrary, and so is their size.  Bounded, rounding stays below Adam's epsilon in
    what is zero but for it.
    """
    import numpy

    norm = sqrt(sum(float(numpy.square(gradient, dtype=numpy.float64).sum()) for gradient in gradients.values()))
    factor = min(1.0, LARGEST_NORM / norm) if norm else 1.0
    for key, gradient in gradients.items():
        yield key, gradient * gradient.dtype.type(factor)


def optimiser(method: Method) -> Optimiser:
    """A new one."""
    return Sgd() if method == "sgd" else Adam()
