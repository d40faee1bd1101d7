"""Arrangement: values are moved, copied or left out, and nothing is computed but means and interpolation."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from typing_extensions import override

from cnnspec.layers.base import (
    EVERYTHING,
    Axes,
    Dim,
    Flag,
    Layer,
    Margin,
    NonNegative,
    Positive,
    RuleError,
    SameShape,
    Says,
    Shape,
    Symbolic,
    Unset,
    Whole,
    Window,
    as_tuple,
    axis_name,
    axis_within,
    channels_of,
    needs_number,
    per_axis,
    product,
    show,
    sides,
    spatial,
)


class Arrangement(Layer, ABC):
    """Common to the layers that arrange values."""

    category = "Arrangement"


class Identity(Arrangement, SameShape):
    """The input, unchanged; it holds a place.

    ``out = in``
    """


class Flatten(Arrangement):
    """All values in one vector.

    ``out[(c * H + h) * W + w] = in[c, h, w]``: the last axis runs fastest

    Output: a vector of ``C * H * W``; a vector stays as it is.

    Example: on 512x7x7, ``flatten`` gives 25088.
    """

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return ((product(inputs[0]),),)

    @override
    def window(self, *inputs: Shape) -> Literal["everything"]:
        return EVERYTHING


class Reshape(Arrangement):
    """The same values in another shape.

    Both shapes are read with the last axis running fastest, channels first.  One size may be -1: it follows from the
    others.

    Output: ``shape``.

    Example: on 784, ``reshape([1, 28, -1])`` gives 1x28x28.
    """

    shape: Annotated[
        tuple[Whole | Symbolic, ...],
        BeforeValidator(as_tuple),
        Field(min_length=1),
        Says("a list of sizes as in [1, 28, 28], of which one may be -1"),
    ]

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        total = product(shape)
        free = [position for position, size in enumerate(self.shape) if size == -1]
        if len(free) > 1 or any(isinstance(size, int) and size < 1 and size != -1 for size in self.shape):
            raise RuleError(
                f"`shape` is {show(self.shape)}: sizes are at least 1, and one of them may be -1", argument="shape"
            )
        out = list(self.shape)
        if free:
            others = product(size for size in out if size != -1)
            out[free[0]] = total // others
        if product(out) != total:
            held = f"multiples of {others}" if free else str(product(out))
            raise RuleError(
                f"cannot reshape {show(shape)} to {show(self.shape)}: {total} values, and the new shape holds {held}",
                code="reshape-count",
                argument="shape",
                help=f"they must divide {total}" if free else "write -1 for the size that follows from the others",
            )
        return (tuple(out),)

    @override
    def window(self, *inputs: Shape) -> Literal["everything"]:
        return EVERYTHING


class Permute(Arrangement):
    """The axes in another order.

    ``out`` has the input's axis ``order[i]`` as its axis ``i``; axes count from 0, the channels, without the batch.

    Output: ``shape[order[0]], shape[order[1]], ...``.

    Example: on 3x32x48, ``permute([1, 2, 0])`` gives 32x48x3.
    """

    order: Axes

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        if sorted(self.order) != list(range(len(shape))):
            raise RuleError(
                f"{list(self.order)} is no order of the {len(shape)} axes of {show(shape)}",
                code="bad-permutation",
                argument="order",
                help=f"name each axis from 0 to {len(shape) - 1} once" if len(shape) > 1 else "",
            )
        return (tuple(shape[axis] for axis in self.order),)

    @override
    def window(self, *inputs: Shape) -> Literal["everything"] | None:
        return None if self.order == tuple(range(len(inputs[0]))) else EVERYTHING


class Pad(Arrangement):
    """Rows added around a map.

    ``zero`` adds zeros, ``reflect`` mirrors the map without repeating its border (``c b | a b c | b a``),
    ``replicate`` repeats the border (``a a | a b c | c c``).  ``amount`` is one number, one for each spatial axis, or
    (before, after) for each.

    Output: each size ``size + before + after``.

    Example: on 3x32x32, ``pad([(0, 1), (0, 1)])`` gives 3x33x33.
    """

    amount: Margin
    mode: Literal["zero", "reflect", "replicate"] = "zero"

    def pads(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Rows before and after on each spatial axis of this input."""
        return sides(self, "amount", self.amount, len(spatial(self, shape)))

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        pads = self.pads(shape)
        for size, (before, after) in zip(shape[1:], pads, strict=True):
            if self.mode == "reflect" and isinstance(size, int) and max(before, after) >= size:
                raise RuleError(
                    f"cannot reflect {max(before, after)} rows of {show(shape)}: "
                    f"an axis of {size} has {size - 1} behind its border",
                    code="pad-too-large",
                    argument="amount",
                    help="use `mode = replicate`, or a smaller amount",
                )
        return ((shape[0], *(size + before + after for size, (before, after) in zip(shape[1:], pads, strict=True))),)

    @override
    def window(self, *inputs: Shape) -> Window:
        pads = self.pads(inputs[0])
        one = (1,) * len(pads)
        return Window(one, one, one, tuple(before for before, _ in pads))


class Crop(Arrangement):
    """Rows cut from the borders of a map.

    ``amount`` is one number, one for each spatial axis, or (before, after) for each.

    Output: each size ``size - before - after``.

    Example: on 3x33x33, ``crop([(0, 1), (0, 1)])`` gives 3x32x32.
    """

    amount: Margin

    def cuts(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Rows cut before and after on each spatial axis of this input."""
        return sides(self, "amount", self.amount, len(spatial(self, shape)))

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        out: list[Dim] = []
        for size, (before, after) in zip(shape[1:], self.cuts(shape), strict=True):
            rest = size - before - after
            if isinstance(rest, int) and rest < 1:
                raise RuleError(
                    f"cannot cut {before + after} rows off {show(shape)}: an axis has {size}",
                    code="empty-output",
                    argument="amount",
                    help="cut less",
                )
            out.append(rest)
        return ((shape[0], *out),)

    @override
    def window(self, *inputs: Shape) -> Window:
        cuts = self.cuts(inputs[0])
        one = (1,) * len(cuts)
        return Window(one, one, one, tuple(-before for before, _ in cuts))


class Upsample(Arrangement):
    """A map enlarged by ``scale``, or resized to ``size``; one of the two is given.

    ``nearest``: ``out[c, i] = in[c, floor(i * n / m)]`` for an axis that goes from ``n`` to ``m``.

    ``bilinear``, for ``CxHxW``: the value at position ``max((i + 0.5) * n / m - 0.5, 0)`` between the rows, and so
    for the columns, in straight lines between neighbours; past the last row its value.  With ``align_corners = true``
    the position is ``i * (n - 1) / (m - 1)``, so that the corners of both maps meet (0 where ``m`` is 1).

    Output: each size ``size * scale``, or ``size``.

    Example: on 256x14x14, ``upsample(2)`` gives 256x28x28.
    """

    scale: Annotated[
        Positive | tuple[Positive, ...] | None,
        Says("a whole number of at least 1, or one for each axis as in 2x2"),
        Unset("not given"),
    ] = None
    size: Annotated[
        Positive | tuple[Positive | Symbolic, ...] | None,
        Says("a whole number of at least 1, or one for each axis as in 32x32"),
        Unset("not given"),
    ] = None
    mode: Literal["nearest", "bilinear"] = "nearest"
    align_corners: Flag = False

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        sizes = spatial(self, shape, (1, 2, 3) if self.mode == "nearest" else (2,))
        if self.align_corners and self.mode == "nearest":
            raise RuleError("`align_corners` belongs to `mode = bilinear`", argument="align_corners")
        if (self.scale is None) == (self.size is None):
            raise RuleError(
                "`upsample` takes either `scale` or `size`",
                argument="size" if self.size is not None else None,
                help="write `upsample(2)` or `upsample(size = 32x32)`",
            )
        if self.scale is not None:
            scale = per_axis(self, "scale", self.scale, len(sizes))
            return ((shape[0], *(size * factor for size, factor in zip(sizes, scale, strict=True))),)
        goal = self.size if isinstance(self.size, tuple) else (self.size,) * len(sizes)
        if len(goal) != len(sizes):
            raise RuleError(
                f"`size` has {len(goal)} sizes, and the input has {len(sizes)} spatial axes",
                argument="size",
                help=f"write one number for all axes, or {len(sizes)}",
            )
        return ((shape[0], *(size for size in goal if size is not None)),)

    @override
    def window(self, *inputs: Shape) -> Window:
        (shape,) = inputs
        rank = len(shape) - 1
        one = (1,) * rank
        if self.scale is not None and not self.align_corners:
            # The ratio is all that counts, so that the map's size may be symbolic.
            sizes, goals = one, per_axis(self, "scale", self.scale, rank)
        else:
            sizes = tuple(needs_number(self, "the size of its input", size) for size in shape[1:])
            goals = tuple(needs_number(self, "the size of its output", size) for size in self.shapes(shape)[0][1:])
        if self.mode == "nearest":
            return Window(one, sizes, one, (0,) * rank, goals)
        kernel = tuple(2 if goal != size else 1 for size, goal in zip(sizes, goals, strict=True))
        if self.align_corners:
            steps = tuple(size - 1 for size in sizes)
            return Window(kernel, steps, one, (0,) * rank, tuple(max(goal - 1, 1) for goal in goals))
        # (o + 0.5) * size / goal - 0.5 = (o * 2 * size - (goal - size)) / (2 * goal)
        return Window(
            kernel,
            stride=tuple(2 * size for size in sizes),
            dilation=one,
            pad=tuple(goal - size for size, goal in zip(sizes, goals, strict=True)),
            upscale=tuple(2 * goal for goal in goals),
        )


class ChannelShuffle(Arrangement, SameShape):
    """Channels interleaved, so that each group gets some of every other.

    ``out[i * groups + g] = in[g * (C / groups) + i]``

    Output: as the input.
    Source: Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile devices" (2017).

    Example: with 2 groups, channels 0 1 2 3 become 0 2 1 3.
    """

    groups: Positive

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        channels = channels_of(self, inputs[0])
        if channels % self.groups:
            raise RuleError(
                f"{self.groups} groups do not divide the input's channels, {channels}",
                code="groups-do-not-divide",
                argument="groups",
                help=f"groups must divide {channels}",
            )
        return inputs


class PixelShuffle(Arrangement):
    """Channels turned into a larger map, ``factor`` times as high and wide.

    ``out[c, h * r + i, w * r + j] = in[(c * r + i) * r + j, h, w]`` with ``r`` the factor

    Output: ``C / r**2`` channels of ``H * r`` by ``W * r``.
    Source: Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network" (2016).

    Example: on 12x32x32, ``pixel_shuffle(2)`` gives 3x64x64.
    """

    factor: Positive

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        height, width = spatial(self, shape, (2,))
        channels = channels_of(self, shape)
        square = self.factor**2
        if channels % square:
            raise RuleError(
                f"{self.factor} squared is {square}, which does not divide the input's channels, {channels}",
                code="groups-do-not-divide",
                argument="factor",
                help=f"give it {-(-channels // square) * square} channels",
            )
        return ((channels // square, height * self.factor, width * self.factor),)

    @override
    def window(self, *inputs: Shape) -> Window:
        return Window((1, 1), (1, 1), (1, 1), (0, 0), (self.factor, self.factor))


class Slice(Arrangement):
    """The positions from ``start`` to before ``stop`` of one axis.

    Positions count from 0.  ``axis`` counts from 0, the channels.

    Output: ``stop - start`` on that axis.

    Example: on 64x7x7, ``slice(0, 16)`` gives 16x7x7.
    """

    start: NonNegative
    stop: Positive
    axis: NonNegative = 0

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        axis = axis_within(self, "axis", self.axis, shape)
        size = needs_number(self, f"the {axis_name(len(shape), axis)}", shape[axis])
        if not self.start < self.stop <= size:
            raise RuleError(
                f"cannot take {self.start} to {self.stop} of the {axis_name(len(shape), axis)} of {show(shape)}",
                code="slice-out-of-range",
                argument="stop" if self.stop > size else "start",
                help=f"positions go from 0 to {size}, and `start` is below `stop`",
            )
        return ((*shape[:axis], self.stop - self.start, *shape[axis + 1 :]),)

    @override
    def window(self, *inputs: Shape) -> Window | Literal["everything"] | None:
        if self.axis == 0:
            return None
        one = (1,) * (len(inputs[0]) - 1)
        return Window(one, one, one, tuple(-self.start if i == self.axis - 1 else 0 for i in range(len(one))))


MOST_PARTS = 1000
"""Outputs of one `split`; a bound, so that a number in a spec cannot eat the memory."""


class Split(Arrangement):
    """One axis cut into several outputs: ``parts`` equal ones, or parts of the sizes given.

    ``axis`` counts from 0, the channels.

    Output: one value for each part.

    Example: on 116x28x28, ``left, right = split(x, 2)`` gives twice 58x28x28, ``split(x, [16, 100])`` 16x28x28 and
    100x28x28.
    """

    parts: Annotated[
        Positive | tuple[Positive, ...], Says("a number of equal parts, or a list of their sizes as in [16, 48]")
    ]
    axis: NonNegative = 0

    def sizes(self, shape: Shape) -> tuple[int, ...]:
        """The size of each part on the axis."""
        axis = axis_within(self, "axis", self.axis, shape)
        size = needs_number(self, f"the {axis_name(len(shape), axis)}", shape[axis])
        what = f"the {axis_name(len(shape), axis)} of {show(shape)}"
        if isinstance(self.parts, int):
            if self.parts > MOST_PARTS:
                raise RuleError(
                    f"cannot split into {self.parts:,} parts: {MOST_PARTS:,} are the most",
                    code="split-sizes",
                    argument="parts",
                    help="is a size given where a number of parts was meant?",
                )
            if size % self.parts:
                raise RuleError(
                    f"cannot split {what} into {self.parts} equal parts",
                    code="split-sizes",
                    argument="parts",
                    help=f"the parts must divide {size}, or give a list of sizes",
                )
            return (size // self.parts,) * self.parts
        if sum(self.parts) != size:
            raise RuleError(
                f"the parts {' + '.join(map(str, self.parts))} make {sum(self.parts)}, and {what} are {size}",
                code="split-sizes",
                argument="parts",
                help=f"the sizes must add up to {size}",
            )
        return self.parts

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        return tuple((*shape[: self.axis], size, *shape[self.axis + 1 :]) for size in self.sizes(shape))


class Concat(Arrangement):
    """Values joined along one axis, by default the channels.

    ``axis`` counts from 0, the channels.  All other sizes are equal.

    Output: the sum of the sizes on that axis.

    Example: ``concat(x, y)`` of 64x28x28 and 32x28x28 gives 96x28x28.
    """

    inputs = (1, None)

    axis: NonNegative = 0

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        first = inputs[0]
        axis = axis_within(self, "axis", self.axis, first)
        for position, shape in enumerate(inputs[1:], 2):
            if len(shape) != len(first):
                detail = f"the first has {len(first)} axes, number {position} has {len(shape)}"
            else:
                detail = ", ".join(
                    f"{axis_name(len(first), i)} {ours} and {theirs}"
                    for i, (ours, theirs) in enumerate(zip(first, shape, strict=True))
                    if i != axis and ours != theirs
                )
            if detail:
                raise RuleError(
                    f"cannot join {show(first)} and {show(shape)} along the {axis_name(len(first), axis)}",
                    code="concat-mismatch",
                    detail=detail,
                    help="all sizes but those of the joined axis must be equal",
                )
        total: Dim = 0
        for shape in inputs:
            total = total + shape[axis]
        return ((*first[:axis], total, *first[axis + 1 :]),)


class Mean(Arrangement):
    """Mean over one or more axes.

    ``out = sum of in over the axes / number of values summed``

    ``axes`` count from 0, the channels.  They stay with size 1, or with ``keep = false`` are left out; one axis
    always stays.

    Output: 1 on those axes, or without them.

    Example: on 512x7x7, ``mean([1, 2])`` gives 512x1x1, ``mean([1, 2], keep = false)`` 512.
    """

    axes: Axes
    keep: Flag = True

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        axes = {axis_within(self, "axes", axis, shape) for axis in self.axes}
        if len(axes) != len(self.axes):
            raise RuleError("`axes` names an axis twice", argument="axes")
        if self.keep:
            return (tuple(1 if i in axes else size for i, size in enumerate(shape)),)
        if len(axes) == len(shape):
            raise RuleError(
                f"the mean over all axes of {show(shape)} would have no axis left",
                argument="keep",
                help="write `keep = true`, and `flatten` after it for a vector of one value",
            )
        return (tuple(size for i, size in enumerate(shape) if i not in axes),)

    @override
    def window(self, *inputs: Shape) -> Literal["everything"] | None:
        return None if self.keep and self.axes == (0,) and len(inputs[0]) > 1 else EVERYTHING
