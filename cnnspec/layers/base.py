"""What every layer is: arguments, shape rule, weights, cost and window, in one class.

A layer's keyword is its class name in snake case, its positional order the order of its fields, its documentation
its docstring.  Shapes are channels first and without the batch.  Rules raise `RuleError` without a place; whoever
holds the source adds it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import override

from cnnspec.initialisers import Initialiser
from cnnspec.shapes import Dim, Shape, Symbolic, ceil_div, product, show


class RuleError(ValueError):
    """A layer's rule is broken.

    ``argument`` names the field at fault, if it is one; ``detail`` says more at the place, such as which axes differ.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "bad-argument",
        argument: str | None = None,
        detail: str = "",
        help: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.argument = argument
        self.detail = detail
        self.help = help


class Says(NamedTuple):
    """What a field takes, in words: the second half of "`filters` must be ..."."""

    text: str


class Unset(NamedTuple):
    """What a field that is left out stands for, where no fixed value can say it; its Python default is ``None``."""

    text: str


def _without_fans(value: Initialiser) -> Initialiser:
    if value.needs_fans:
        raise ValueError(f"{value.distribution} needs a weight with inputs and outputs")
    return value


def as_tuple(value: Any) -> Any:
    """A value alone as a tuple of one; for arguments that are lists."""
    return value if isinstance(value, (tuple, list)) else (value,)


Positive = Annotated[int, Field(strict=True, gt=0), Says("a whole number of at least 1")]
NonNegative = Annotated[int, Field(strict=True, ge=0), Says("a whole number of at least 0")]
Whole = Annotated[int, Field(strict=True), Says("a whole number")]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False), Says("a number")]
PositiveReal = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False), Says("a number above 0")]
Epsilon = Annotated[float, Field(strict=True, gt=0, lt=0.5), Says("a number above 0 and below 0.5, as in 1e-5")]
"""Bounded, so that a number of channels, which PyTorch's norms take first, is none."""
NonNegativeReal = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), Says("a number of at least 0")]
Probability = Annotated[float, Field(strict=True, ge=0, lt=1), Says("a number of at least 0 and below 1")]
Share = Annotated[float, Field(strict=True, ge=0, le=1), Says("a number from 0 to 1")]
Flag = Annotated[bool, Field(strict=True), Says("true or false")]
Size = Annotated[Positive | tuple[Positive, ...], Says("a whole number of at least 1, or one for each axis as in 3x3")]
Pairs = tuple[tuple[Whole, Whole], ...]
Stride = Annotated[
    Positive | tuple[Positive, ...] | None,
    Says("a whole number of at least 1, or one for each axis as in 3x3"),
    Unset("kernel"),
]
Amount = Annotated[
    NonNegative | tuple[NonNegative, ...], Says("a whole number of at least 0, or one for each axis as in 1x2")
]
Margin = Annotated[
    NonNegative | tuple[NonNegative, ...] | tuple[tuple[NonNegative, NonNegative], ...],
    Says("a whole number, one for each axis as in 1x2, or (before, after) pairs as in [(0, 1), (0, 1)]"),
]
Sizes = Annotated[
    tuple[Positive, ...], BeforeValidator(as_tuple), Field(min_length=1), Says("sizes of at least 1 as in 64x1x1")
]
Axes = Annotated[
    tuple[NonNegative, ...],
    BeforeValidator(as_tuple),
    Field(min_length=1),
    Says("an axis counted from 0, the channels, or a list of them as in [1, 2]"),
]
Init = Annotated[Initialiser, Says("an initialiser such as he_normal, or a number")]
VectorInit = Annotated[
    Initialiser, AfterValidator(_without_fans), Says("an initialiser without fans such as zeros or normal, or a number")
]
Pad = Annotated[
    NonNegative | Literal["same", "valid"] | tuple[NonNegative, ...] | tuple[tuple[NonNegative, NonNegative], ...],
    Says("a whole number, one for each axis as in 1x2, (before, after) pairs as in [(0, 1), (0, 1)], same, or valid"),
]


class Weight(BaseModel):
    """A named array of a layer, in the spec's own layout (channels first, outputs before inputs).

    ``name`` follows the layer's path with a dot; an empty name means the path itself.  ``trainable`` is false for
    running statistics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    shape: tuple[int, ...]
    init: Initialiser
    trainable: bool = True

    @property
    def size(self) -> int:
        total = 1
        for length in self.shape:
            total *= length
        return total


class Window(NamedTuple):
    """A sliding window, one entry for each spatial axis; ``pad`` is the padding before.

    ``None`` in place of a window means that each output sees its own position alone; `EVERYTHING` that it sees all.
    Output ``o`` sees ``kernel`` inputs, ``dilation`` apart, from ``(o * stride - pad) / upscale`` on (rounded to the
    grid). Layers that enlarge the map have an ``upscale``; an empty one is 1 on every axis.  ``pad`` is negative
    where a crop begins.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[int, ...]
    upscale: tuple[int, ...] = ()


EVERYTHING: Literal["everything"] = "everything"


class Layer(BaseModel, ABC):
    """A layer with its arguments.  Immutable; equal arguments make equal layers."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: ClassVar[str] = "layer"
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """Fewest and most input values; ``None`` is no limit."""
    category: ClassVar[str] = ""
    """The heading it stands under in the reference."""
    arithmetic: ClassVar[bool] = False
    """Whether it combines values position by position, so that one without samples (a learned array) may take part."""

    @override
    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @abstractmethod
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        """The output shapes for these input shapes; raises `RuleError` where they do not fit."""

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """Every array the layer owns, trainable ones and running statistics, in the order of the state."""
        return ()

    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Dim:
        """Multiply-accumulates of one forward pass of one sample.

        Convolutions and dense layers only, without their biases, as is usual in the literature.
        """
        return 0

    def window(self, *inputs: Shape) -> Window | Literal["everything"] | None:
        """What one output position sees of the input, for the receptive field."""
        return None


class SameShape(Layer, ABC):
    """Common to the layers whose output has their input's shape."""

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return inputs


def expects(layer: type[Layer], argument: str) -> str:
    """What an argument takes, in words: ends the sentence "`filters` must be ..."."""
    field = layer.model_fields[argument]
    for note in field.metadata:
        if isinstance(note, Says):
            return note.text
    return "one of " + ", ".join(get_args(field.annotation))


def axis_name(rank: int, axis: int) -> str:
    """What an axis of a shape of this rank is called: ``channels``, ``length``, ``depth``, ``height``, ``width``."""
    names = {1: ("features",), 2: ("channels", "length"), 3: ("channels", "height", "width")}
    names[4] = ("channels", "depth", "height", "width")
    return names[rank][axis] if rank in names else f"axis {axis}"


def axis_within(layer: Layer, argument: str, axis: int, shape: Shape) -> int:
    """The axis, which must exist in the shape."""
    if axis >= len(shape):
        raise RuleError(
            f"{show(shape)} has no axis {axis}",
            code="no-such-axis",
            argument=argument,
            help=f"axes count from 0, the channels: here 0 to {len(shape) - 1}"
            if len(shape) > 1
            else "its only axis is 0",
        )
    return axis


def channels_of(layer: Layer, shape: Shape) -> int:
    """The size of the first axis, as a number."""
    if not shape:
        raise RuleError(f"`{layer.kind}` needs a vector or a map, and its input is a scalar", code="wrong-rank")
    return needs_number(layer, "the channels", shape[0])


def spatial(layer: Layer, shape: Shape, ranks: tuple[int, ...] = (1, 2, 3)) -> Shape:
    """The spatial axes of a map; raises where the input is no map of such a rank."""
    rank = len(shape) - 1
    if rank not in ranks:
        forms = {1: "CxL", 2: "CxHxW", 3: "CxDxHxW"}
        wanted = " or ".join(forms[r] for r in ranks)
        raise RuleError(
            f"`{layer.kind}` needs a map {wanted}, and its input is {show(shape)}",
            code="wrong-rank",
            help="use `reshape` to give it height and width" if rank <= 0 else "`reshape` and `mean` change its axes",
        )
    return shape[1:]


def per_axis(layer: Layer, argument: str, value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """An argument for each spatial axis."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise RuleError(
            f"`{argument}` has {len(value)} sizes, and the input has {rank} spatial {'axis' if rank == 1 else 'axes'}",
            argument=argument,
            help=f"write one number for all axes, or {rank}"
            + ("; the batch is no part of a shape" if rank == len(value) + 1 else ""),
        )
    return value


def sides(layer: Layer, argument: str, amount: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """A `Margin` as (before, after) on each spatial axis."""
    if isinstance(amount, int):
        return ((amount, amount),) * rank
    if len(amount) != rank:
        raise RuleError(
            f"`{argument}` has {len(amount)} entries, "
            f"and the input has {rank} spatial {'axis' if rank == 1 else 'axes'}",
            argument=argument,
            help=f"write one number for all axes, or {rank} entries",
        )
    return tuple((entry, entry) if isinstance(entry, int) else entry for entry in amount)


def padding(
    layer: Layer, pad: Any, sizes: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Padding before and after on each axis.

    ``same`` makes the output ``ceil(size / stride)`` and puts an odd extra row after, as TensorFlow and ONNX's
    SAME_UPPER do.
    """
    rank = len(sizes)
    if pad == "valid":
        return ((0, 0),) * rank
    if pad == "same":
        pairs = []
        for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            # At stride 1 the padding does not depend on the size, which may then be symbolic.
            total = d * (k - 1)
            if s != 1:
                size = needs_number(layer, "the size that `pad = same` divides by the stride", size)
                total = max((-(-size // s) - 1) * s + total + 1 - size, 0)
            pairs.append((total // 2, total - total // 2))
        return tuple(pairs)
    return sides(layer, "pad", pad, rank)


def slide(
    layer: Layer,
    sizes: Shape,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
) -> Shape:
    """Output sizes: ``floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1``."""
    out = []
    for size, k, s, d, (before, after) in zip(sizes, kernel, stride, dilation, pads, strict=True):
        reach = d * (k - 1) + 1
        padded = size + before + after
        if isinstance(padded, int) and reach > padded:
            raise RuleError(
                f"the kernel covers {reach}, and the input is {show(sizes)}"
                + (f" ({padded} with its padding)" if before or after else ""),
                code="kernel-too-large",
                argument="kernel",
                help=f"a kernel of at most {(padded - 1) // d + 1}, or more padding, or less downsampling before",
            )
        out.append((padded - reach) // s + 1)
    return tuple(out)


def needs_number(layer: Layer, what: str, size: Dim) -> int:
    """The number behind a size, or a clear refusal where it is symbolic."""
    if isinstance(size, Symbolic):
        raise RuleError(
            f"`{layer.kind}` needs to know {what}, which is {size} here",
            code="symbolic-size",
            help="give the model's input a fixed size, as in `input image: 3x224x224`, or `--input 3x224x224`",
        )
    return size


__all__ = [
    "EVERYTHING", "Amount", "Axes", "Dim", "Flag", "Init", "Initialiser", "Layer", "Margin", "NonNegative",
    "NonNegativeReal", "Pad", "Pairs", "Positive", "PositiveReal", "Probability", "Real", "RuleError", "SameShape",
    "Says", "Shape", "Share", "Size", "Sizes", "Stride", "Symbolic", "Unset", "VectorInit", "Weight", "Whole",
    "Window", "as_tuple", "axis_name", "axis_within", "ceil_div", "channels_of", "expects", "needs_number", "padding",
    "per_axis", "product", "show", "sides", "slide", "spatial",
]  # fmt: skip
