"""Regularisation: what is dropped by chance cannot be compared, so that nothing is, as if every rate were 0."""

from __future__ import annotations

from collections.abc import Callable

from cnnspec.layers.regularisation import ChannelDropout, Dropout, Regularisation, StochasticDepth
from cnnspec_reference.definition import Array, maps


def _nothing(layer: Regularisation, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return x, lambda gradient: gradient


for _kind in (Dropout, ChannelDropout, StochasticDepth):
    maps(_kind)(_nothing)
