"""Regularisation by chance: active in training, the identity in evaluation."""

from __future__ import annotations

from abc import ABC

from typing_extensions import override

from cnnspec.layers.base import Probability, SameShape, Shape, spatial


class Regularisation(SameShape, ABC):
    """Common to the layers that drop something in training."""

    category = "Regularisation"

    rate: Probability


class Dropout(Regularisation):
    """Each value is dropped with probability ``rate`` in training.

    ``out = in * keep / (1 - rate)`` with ``keep`` 0 with probability ``rate`` and 1 otherwise, drawn for each value

    In evaluation it does nothing.

    Output: as the input.
    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014); scaled in
    training.

    Example: ``dropout(0.5)``.
    """


class ChannelDropout(Regularisation):
    """Each channel of a map is dropped whole with probability ``rate`` in training.

    ``out[c] = in[c] * keep[c] / (1 - rate)`` with ``keep`` 0 with probability ``rate`` and 1 otherwise, drawn for
    each channel of each sample

    In evaluation it does nothing.

    Output: as the input.
    Source: Tompson et al., "Efficient object localization using convolutional networks" (2015).

    Example: ``channel_dropout(0.2)``.
    """

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        spatial(self, inputs[0])
        return inputs


class StochasticDepth(Regularisation):
    """Each sample is dropped whole with probability ``rate`` in training; it stands on a residual branch.

    ``out = in * keep / (1 - rate)`` with ``keep`` 0 with probability ``rate`` and 1 otherwise, drawn for each sample

    In evaluation it does nothing.

    Output: as the input.
    Source: Huang et al., "Deep networks with stochastic depth" (2016); scaled in training.

    Example: ``y = y -> stochastic_depth(0.1)``, then ``x + y``.
    """
