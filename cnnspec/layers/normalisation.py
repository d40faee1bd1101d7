"""Normalisation: values are shifted and scaled to mean zero and variance one over some of the axes."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from typing_extensions import override

from cnnspec.initialisers import ONES, ZEROS
from cnnspec.layers.base import (
    EVERYTHING,
    Dim,
    Epsilon,
    Flag,
    NonNegativeReal,
    Positive,
    PositiveReal,
    Real,
    RuleError,
    SameShape,
    Says,
    Shape,
    Share,
    Unset,
    Weight,
    as_tuple,
    channels_of,
    needs_number,
    product,
    show,
    spatial,
)


class Normalisation(SameShape, ABC):
    """Common to the normalisations."""

    category = "Normalisation"

    def _refuse_one(self, count: Dim, shape: Shape) -> None:
        if count == 1:
            raise RuleError(
                f"`{self.kind}` would normalise single values of {show(shape)}, which always gives zero",
                code="nothing-to-normalise",
                help="leave it out, or put it where the map is larger",
            )


def _affine(shape: tuple[int, ...]) -> tuple[Weight, ...]:
    return Weight(name="weight", shape=shape, init=ONES), Weight(name="bias", shape=shape, init=ZEROS)


def _listed(value: Any) -> Any:
    """A number alone as a list of one; nothing as it is."""
    return None if value is None else as_tuple(value)


class BatchNorm(Normalisation):
    """Batch normalisation of each channel, on a vector or a map.

    ``out[c] = weight[c] * (in[c] - mean[c]) / sqrt(var[c] + eps) + bias[c]``

    In training ``mean`` and ``var`` are those of the batch, over all samples and positions, and ``var`` divides by
    their number ``n``.  The running statistics then move by the fraction ``momentum`` towards the new ones: ``running
    = (1 - momentum) * running + momentum * new``, where the new variance divides by ``n - 1``.  In evaluation the
    running statistics are used.  Training needs at least two values for each channel.

    Output: as the input.
    Weights: ``weight`` and ``bias`` of ``C``, starting at 1 and 0 (neither with ``affine = false``, the bias alone with
    ``scale = false``); ``running_mean`` and ``running_var`` of ``C``, not trainable, starting at 0 and 1.
    Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift" (2015).

    Example: on 64x56x56, ``batch_norm`` has 128 trainable parameters and 128 running statistics.
    """

    eps: Epsilon = 1e-5
    momentum: Share = 0.1
    affine: Flag = True
    scale: Flag = True

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        channels_of(self, inputs[0])
        return inputs

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        shape = (channels_of(self, inputs[0]),)
        statistics = (
            Weight(name="running_mean", shape=shape, init=ZEROS, trainable=False),
            Weight(name="running_var", shape=shape, init=ONES, trainable=False),
        )
        affine = _affine(shape) if self.affine else ()
        return (affine if self.scale else affine[1:]) + statistics


class LayerNorm(Normalisation):
    """Layer normalisation of each sample.

    ``out = weight * (in - mean) / sqrt(var + eps) + bias``

    With ``axes = channels``, the default, mean and variance are taken over the channels at each position, as ConvNeXt
    does; the weights then do not depend on the size of the map.  With ``axes = all`` they are taken over the whole
    sample.  On a vector both are the same.  The variance divides by the number of values.

    Output: as the input.
    Weights: ``weight`` and ``bias``, starting at 1 and 0, of ``C``, or with ``axes = all`` of the input's shape; none
    with ``affine = false``.
    Source: Ba, Kiros and Hinton, "Layer normalization" (2016).

    Example: on 96x56x56, ``layer_norm`` has 192 parameters.
    """

    axes: Literal["channels", "all"] = "channels"
    eps: Epsilon = 1e-5
    affine: Flag = True

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        channels_of(self, shape)
        self._refuse_one(product(shape) if self.axes == "all" else shape[0], shape)
        return inputs

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        if not self.affine:
            return ()
        if self.axes == "channels":
            return _affine((channels_of(self, shape),))
        return _affine(tuple(needs_number(self, "every size of its input", size) for size in shape))

    @override
    def window(self, *inputs: Shape) -> Literal["everything"] | None:
        return EVERYTHING if self.axes == "all" or len(inputs[0]) == 1 else None


class GroupNorm(Normalisation):
    """Group normalisation: each sample, over blocks of neighbouring channels and all their positions.

    ``out[c] = weight[c] * (in[c] - mean[g]) / sqrt(var[g] + eps) + bias[c]`` with ``g`` the group of channel ``c``

    The variance divides by the number of values.

    Output: as the input.
    Weights: ``weight`` and ``bias`` of ``C``, starting at 1 and 0; none with ``affine = false``.
    Source: Wu and He, "Group normalization" (2018).

    Example: on 64x56x56, ``group_norm(32)`` has 128 parameters.
    """

    groups: Positive
    eps: Epsilon = 1e-5
    affine: Flag = True

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        channels = channels_of(self, shape)
        if channels % self.groups:
            raise RuleError(
                f"{self.groups} groups do not divide the input's channels, {channels}",
                code="groups-do-not-divide",
                argument="groups",
                help=f"groups must divide {channels}",
            )
        self._refuse_one(product((channels // self.groups, *shape[1:])), shape)
        return inputs

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _affine((channels_of(self, inputs[0]),)) if self.affine else ()

    @override
    def window(self, *inputs: Shape) -> Literal["everything"]:
        return EVERYTHING


class InstanceNorm(Normalisation):
    """Instance normalisation: each channel of each sample, over its positions.

    ``out[c] = weight[c] * (in[c] - mean[c]) / sqrt(var[c] + eps) + bias[c]``

    The variance divides by the number of positions.  It has no weights unless ``affine = true``.

    Output: as the input.
    Weights: with ``affine = true`` ``weight`` and ``bias`` of ``C``, starting at 1 and 0.
    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast stylization"
    (2016).

    Example: on 32x256x256, ``instance_norm(affine = true)`` has 64 parameters.
    """

    eps: Epsilon = 1e-5
    affine: Flag = False

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        self._refuse_one(product(spatial(self, shape)), shape)
        return inputs

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _affine((channels_of(self, inputs[0]),)) if self.affine else ()

    @override
    def window(self, *inputs: Shape) -> Literal["everything"]:
        return EVERYTHING


class LocalResponseNorm(Normalisation):
    """Local response normalisation across neighbouring channels of a map.

    ``out[c] = in[c] / (k + alpha / size * sum over j of in[j] ** 2) ** beta``

    where ``j`` goes over the ``size`` channels from ``c - size // 2`` to ``c + (size - 1) // 2`` that exist; an even
    ``size`` reaches one channel further down than up.  Here ``alpha`` is divided by ``size``; Krizhevsky, Sutskever
    and Hinton (2012) do not divide: their ``alpha`` is this one over ``size``.

    Output: as the input.
    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks"
    (2012), section 3.3.

    Example: their layer is ``local_response_norm(5, alpha = 5e-4, beta = 0.75, k = 2)``.
    """

    size: Positive
    alpha: Real = 1e-4
    beta: Real = 0.75
    k: PositiveReal = 1.0

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        spatial(self, inputs[0])
        return inputs


class Normalize(Normalisation):
    """Each channel of a vector or a map, shifted and scaled by a mean and a variance that training leaves as they are.

    ``out[c] = (in[c] - mean[c]) / max(sqrt(variance[c]), 1e-7)``

    With ``mean`` and ``variance`` given, numbers for each channel, they are constants.  Without, they are statistics of
    the network that come with its weights, and start at 0 and 1.

    Output: as the input.
    Weights: without arguments ``mean`` and ``variance`` of ``C``, which are no parameters but statistics.

    Example: on 3x224x224, ``normalize(mean = [0.485, 0.456, 0.406], variance = [0.0524, 0.0502, 0.0506])`` has no
    weights, and ``normalize`` alone 6 statistics.
    """

    mean: Annotated[
        tuple[Real, ...] | None,
        BeforeValidator(_listed),
        Says("a number for each channel as in [0.485, 0.456, 0.406]"),
        Unset("with the weights"),
    ] = None
    variance: Annotated[
        tuple[NonNegativeReal, ...] | None,
        BeforeValidator(_listed),
        Says("a number of at least 0 for each channel as in [0.0524, 0.0502, 0.0506]"),
        Unset("with the weights"),
    ] = None

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        channels = channels_of(self, inputs[0])
        if (self.mean is None) != (self.variance is None):
            given, other = ("mean", "variance") if self.variance is None else ("variance", "mean")
            raise RuleError(
                f"`normalize` takes `mean` and `variance` together, and `{other}` is left out",
                argument=given,
                help=f"give `{other}` too, or neither: then both come with the weights",
            )
        for argument, values in (("mean", self.mean), ("variance", self.variance)):
            if values is not None and len(values) != channels:
                numbers = "1 number" if len(values) == 1 else f"{len(values)} numbers"
                raise RuleError(
                    f"`{argument}` has {numbers}, and the input has {channels} channel{'s' if channels > 1 else ''}",
                    argument=argument,
                    help="write one number for each channel",
                )
        return inputs

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        if self.mean is not None:
            return ()
        shape = (channels_of(self, inputs[0]),)
        return (
            Weight(name="mean", shape=shape, init=ZEROS, trainable=False),
            Weight(name="variance", shape=shape, init=ONES, trainable=False),
        )
