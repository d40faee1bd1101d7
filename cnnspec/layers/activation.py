"""Activations: a function of each value, or of the values along one axis.

Where a function has a kink, its derivative there is stated; it decides training on inputs that are exactly zero.
"""

from __future__ import annotations

from abc import ABC
from typing import Literal

from typing_extensions import override

from cnnspec.initialisers import Initialiser
from cnnspec.layers.base import (
    EVERYTHING,
    Flag,
    NonNegative,
    PositiveReal,
    Real,
    RuleError,
    SameShape,
    Shape,
    VectorInit,
    Weight,
    axis_within,
    channels_of,
)


class Activation(SameShape, ABC):
    """Common to the activations."""

    category = "Activations"


class Relu(Activation):
    """Rectified linear unit.

    ``out = max(in, 0)``

    The derivative at 0 is 0.

    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).
    """


class Relu6(Activation):
    """Rectified linear unit with a ceiling of 6.

    ``out = min(max(in, 0), 6)``

    The derivative at 0 and at 6 is 0.

    Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10" (2010).
    """


class LeakyRelu(Activation):
    """Rectified linear unit that lets a part of negative values through.

    ``out = in if in > 0 else slope * in``

    The derivative at 0 is ``slope``.

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013).
    """

    slope: Real = 0.01


class Prelu(Activation):
    """Leaky rectified linear unit whose slope is learned.

    ``out[c] = in[c] if in[c] > 0 else weight[c] * in[c]``

    The derivative at 0 is the slope.  With ``shared = true`` all channels have one slope.

    Weights: ``weight`` of ``C``, or of 1.
    Source: He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification"
    (2015).
    """

    shared: Flag = False
    init: VectorInit = Initialiser(distribution="constant", value=0.25)

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        channels_of(self, inputs[0])
        return inputs

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        count = 1 if self.shared else channels_of(self, inputs[0])
        return (Weight(name="weight", shape=(count,), init=self.init),)


class Elu(Activation):
    """Exponential linear unit.

    ``out = in if in > 0 else alpha * (exp(in) - 1)``

    The derivative at 0 is ``alpha``.

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units"
    (2015).
    """

    alpha: PositiveReal = 1.0


class Selu(Activation):
    """Scaled exponential linear unit.

    ``out = scale * (in if in > 0 else alpha * (exp(in) - 1))``

    with ``alpha = 1.6732632423543772848170429916717`` and ``scale = 1.0507009873554804934193349852946``.  The
    derivative at 0 is ``scale * alpha``.

    Source: Klambauer et al., "Self-normalizing neural networks" (2017).
    """


class Celu(Activation):
    """Continuously differentiable exponential linear unit.

    ``out = in if in > 0 else alpha * (exp(in / alpha) - 1)``

    Source: Barron, "Continuously differentiable exponential linear units" (2017).
    """

    alpha: PositiveReal = 1.0


class Gelu(Activation):
    """Gaussian error linear unit.

    ``out = in / 2 * (1 + erf(in / sqrt(2)))``

    With ``approximate = tanh`` it is ``in / 2 * (1 + tanh(sqrt(2 / pi) * (in + 0.044715 * in ** 3)))``.

    Source: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
    """

    approximate: Literal["exact", "tanh"] = "exact"


class Silu(Activation):
    """Sigmoid linear unit, also known as swish.

    ``out = in / (1 + exp(-in))``

    Source: Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function approximation"
    (2017).
    """


class Mish(Activation):
    """Mish.

    ``out = in * tanh(log(1 + exp(in)))``

    Source: Misra, "Mish: a self regularized non-monotonic activation function" (2019).
    """


class Sigmoid(Activation):
    """Logistic function.

    ``out = 1 / (1 + exp(-in))``

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986).
    """


class HardSigmoid(Activation):
    """Sigmoid of three straight pieces.

    ``out = min(max(in + 3, 0), 6) / 6``

    The derivative at -3 and at 3 is 0.  Older definitions have another slope, such as ``min(max(0.2 * in + 0.5, 0),
    1)``.

    Source: Howard et al., "Searching for MobileNetV3" (2019).
    """


class HardSwish(Activation):
    """Swish with the hard sigmoid.

    ``out = in * min(max(in + 3, 0), 6) / 6``

    The derivative at -3 is 0, at 3 it is 1.

    Source: Howard et al., "Searching for MobileNetV3" (2019).
    """


class Tanh(Activation):
    """Hyperbolic tangent.

    ``out = (exp(in) - exp(-in)) / (exp(in) + exp(-in))``

    Source: LeCun et al., "Efficient backprop" (1998).
    """


class HardTanh(Activation):
    """The identity between two limits.

    ``out = min(max(in, low), high)``

    The derivative at ``low`` and at ``high`` is 0.

    Source: Collobert, "Large scale machine learning" (2004).
    """

    low: Real = -1.0
    high: Real = 1.0

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        if self.low >= self.high:
            raise RuleError(f"`low` is {self.low} and must be below `high`, {self.high}", argument="low")
        return inputs


class Softplus(Activation):
    """Smooth rectifier.

    ``out = log(1 + exp(in))``

    for every input: no threshold from which on it is the identity belongs to the definition.  PyTorch switches at 20,
    where the difference is 2e-9.

    Source: Dugas et al., "Incorporating second-order functional knowledge for better option pricing" (2001).
    """


class Softsign(Activation):
    """Sign with a soft passage.

    ``out = in / (1 + abs(in))``

    Source: Turian, Bergstra and Bengio, "Quadratic features and deep architectures for chunking" (2009).
    """


class Abs(Activation):
    """Absolute value.

    ``out = abs(in)``

    The derivative at 0 is 0.

    Source: Jarrett et al., "What is the best multi-stage architecture for object recognition?" (2009).
    """


class AlongAxis(Activation, ABC):
    """Common to the activations over the values along one axis."""

    axis: NonNegative = 0

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        axis_within(self, "axis", self.axis, inputs[0])
        return inputs

    @override
    def window(self, *inputs: Shape) -> Literal["everything"] | None:
        return None if self.axis == 0 and len(inputs[0]) > 1 else EVERYTHING


class Softmax(AlongAxis):
    """Positive numbers of sum one along an axis; by default the channels, at each position of a map.

    ``out[i] = exp(in[i]) / sum over j of exp(in[j])``

    Axes count from 0, the channels, without the batch.

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990).
    """


class LogSoftmax(AlongAxis):
    """Logarithm of the softmax along an axis; by default the channels, at each position of a map.

    ``out[i] = in[i] - log(sum over j of exp(in[j]))``

    Axes count from 0, the channels, without the batch.

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990).
    """
