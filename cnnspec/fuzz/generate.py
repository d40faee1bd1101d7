"""Random specs: valid networks, weighted like real ones.  A seed names a spec.

A network is grown statement by statement.  What is drawn may not fit where it stands (a kernel larger than the map):
then the check of the spec refuses it, and it is left out.  So the drawing needs no shape rules of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from random import Random
from typing import TypeVar

from cnnspec import api
from cnnspec.diagnostics import SpecError
from cnnspec.graph import Graph
from cnnspec.layers.normalisation import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Normalisation
from cnnspec.shapes import Dim

T = TypeVar("T")

MOST_VALUES = 3000
"""Larger values, for one sample, are refused: a network is to cost milliseconds."""
MOST_CHANNELS = 24
MOST_PARAMETERS = 20_000
LEAST_NORMALISED = 6
LEAST_BATCH = 3
STATEMENTS = (3, 9)
TRIES = 12

Shape = tuple[int, ...]


def random_spec(seed: int) -> str:
    """The text of a valid spec with one model; the same for the same seed and version."""
    return _Author(Random(seed)).network()


class _Author:
    """Writes one network."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.width = ""
        """A parameter of the model that filters may be written as."""
        self.inputs: list[str] = []
        self.blocks: list[str] = []
        self.body: list[str] = []
        self.shape: Shape = ()
        self.kept: dict[str, Shape] = {}
        """Earlier values that have a name, for long skips."""
        self.names = 0

    def network(self) -> str:
        self.begin()
        for _ in range(self.random.randint(*STATEMENTS)):
            for _ in range(TRIES):
                if self.grow():
                    break
        self.end()
        return self.text()

    # -- The file ----------------------------------------------------------------------------------------------------

    def text(self, ending: Sequence[str] = ()) -> str:
        parameters = "(width = 6)" if self.width else ""
        lines = [
            f"model Net{parameters} {{",
            *_indented(self.inputs),
            "",
            *_indented(self.body),
            *_indented(ending),
            "}",
        ]
        return "\n\n".join([*self.blocks, "\n".join(lines)]) + "\n"

    def begin(self) -> None:
        rank = self.weighted({1: 4, 2: 18, 3: 2, 0: 1})
        largest = {0: 12, 1: 17, 2: 17, 3: 8}[rank]
        if rank:
            sizes = [self.random.randint(5, largest) for _ in range(rank)]
            if rank > 1 and self.chance(0.3):
                sizes = [sizes[0]] * rank
            shape = (self.random.choice((1, 2, 3, 3, 4, 6, 8) if prod(sizes) < 200 else (1, 2, 3, 3, 4)), *sizes)
        else:
            shape = (self.random.randint(5, largest),)
        self.width = "width" if self.chance(0.2) else ""
        written = _dims(shape) if rank else str(shape[0])
        self.inputs = [f"input image: {written}"]
        self.body = ["x = image"]
        if self.chance(0.1):
            self.inputs.append(f"input side: {written}")
            join = self.random.choice(
                ("concat(image, side)", "image - side", "image * side", "concat(side -> tanh, image)")
            )
            self.body = [f"x = {join}"]
        elif self.chance(0.1):
            self.body = [f"x = image -> {self.standardisation(shape[0])}"]
        graph = _loaded(self.text(["x -> identity"]))
        assert graph is not None
        self.shape = _output_shape(graph)

    def add(self, statement: str, block: str = "") -> bool:
        """Take a statement, and a block that it uses, if the network is valid and small with them."""
        blocks, body = self.blocks, self.body
        self.blocks, self.body = [*blocks, block] if block else blocks, [*body, *statement.split("\n")]
        graph = _loaded(self.text(["x -> identity"]))
        if graph is not None and _small(graph) and _well_conditioned(graph):
            self.shape = _output_shape(graph)
            return True
        self.blocks, self.body = blocks, body
        return False

    def grow(self) -> bool:
        """One more statement, if what is drawn fits."""
        if len(self.shape) == 1:
            return self.add(self.flat())
        makers: dict[Callable[[], str], float] = {
            self.unit: 30,
            self.pooling: 8,
            self.branch: 10,
            self.arrangement: 7,
            self.group: 4,
            self.loop: 4,
            self.split: 3,
            self.lone: 8,
            self.skip: 4,
            self.learned: 2,
        }
        maker = self.weighted({**makers, None: 12})
        return self.add(maker()) if maker else self.used_block()

    def end(self) -> None:
        """A head, sometimes several outputs."""
        if self.chance(0.15):
            self.add(f"auxiliary output hint = x -> {self.head(self.random.randint(2, 4))}")
        if self.chance(0.2):
            first = self.add(f"output first = x -> {self.head(self.random.randint(2, 5))}")
            if self.add(f"output second = x -> {self.lone_layer()}") or first:
                return
        if self.chance(0.85):
            classes = self.random.randint(2, 7)
            for _ in range(3):
                if self.add(f"x = x -> {self.head(classes)}"):
                    break
        # The flow's end is the output; an arithmetic statement alone would do as well.
        self.body.append("x -> identity" if self.chance(0.1) else "x")
        if _loaded(self.text()) is None:
            self.body[-1] = "x -> identity"

    # -- Choices -----------------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def weighted(self, choices: dict[T, float]) -> T:
        return self.random.choices(list(choices), list(choices.values()))[0]

    def fresh(self, stem: str) -> str:
        self.names += 1
        return f"{stem}{self.names}"

    @property
    def rank(self) -> int:
        return len(self.shape) - 1

    @property
    def smallest(self) -> int:
        return min(self.shape[1:], default=1)

    def per_axis(self, draw: Callable[[], int]) -> str:
        """A number for all axes or one for each, in every form that the language has."""
        if self.rank < 2 or self.chance(0.6):
            return str(draw())
        numbers = [draw() for _ in range(self.rank)]
        return _dims(numbers) if self.chance(0.7) else f"[{', '.join(map(str, numbers))}]"

    def kernel(self, least: int = 1) -> str:
        largest = self.smallest + 2
        weights = {1: 3, 2: 2, 3: 8, 4: 1.5, 5: 3, 6: 0.5, 7: 1.5}
        usable = {size: weight for size, weight in weights.items() if least <= size <= largest}
        return self.per_axis(lambda: self.weighted(usable or {least: 1.0}))

    def stride(self) -> str:
        return self.per_axis(lambda: self.weighted({1: 4, 2: 4, 3: 1}))

    def pairs(self, most: int) -> str:
        entries = [f"({self.random.randint(0, most)}, {self.random.randint(0, most)})" for _ in range(self.rank)]
        return f"[{', '.join(entries)}]"

    def padding(self, most: int = 3) -> str:
        match self.weighted({"number": 5, "axes": 2, "pairs": 2, "same": 4, "valid": 1}):
            case "number":
                return str(self.random.randint(0, most))
            case "axes":
                return self.per_axis(lambda: self.random.randint(0, most))
            case "pairs":
                return self.pairs(most)
            case word:
                return word

    def filters(self, multiple: int = 1) -> str:
        if self.width and multiple == 1 and self.chance(0.5):
            return self.random.choice((self.width, f"2 * {self.width}", f"{self.width} + 1"))
        return str(multiple * self.random.randint(1, max(1, 10 // multiple)))

    def divisor(self, number: int) -> int:
        return self.random.choice([size for size in range(1, number + 1) if number % size == 0])

    def real(self, low: float, high: float) -> str:
        return f"{self.random.uniform(low, high):.2f}"

    # -- Layers ------------------------------------------------------------------------------------------------------

    def call(self, kind: str, *arguments: str) -> str:
        given = [argument for argument in arguments if argument]
        return f"{kind}({', '.join(given)})" if given else kind

    def sometimes(self, probability: float, argument: str) -> str:
        return argument if self.chance(probability) else ""

    def conv(self, *, keep: bool = False) -> str:
        """A convolution; with ``keep`` one that keeps the sizes of the map."""
        bias = self.sometimes(0.3, "bias = false")
        channels = self.shape[0]
        if keep:
            kernel = self.kernel()
            dilation = self.sometimes(0.15, "dilation = 2")
            return self.call("conv", self.filters(), kernel, "pad = same", dilation, bias)
        # Keras has no separable convolution of three dimensions.
        separable = {"separable_conv": 2.0} if self.rank < 3 else {}
        kind = self.weighted({"conv": 12, "depthwise_conv": 3, **separable, "conv_transpose": 3})
        stride = self.sometimes(0.45 if self.smallest > 3 else 0.1, f"stride = {self.stride()}")
        dilation = self.sometimes(0.15, f"dilation = {self.per_axis(lambda: self.random.choice((1, 2, 2, 3)))}")
        if kind == "depthwise_conv":
            pad = self.sometimes(0.8, f"pad = {self.padding()}")
            multiplier = self.sometimes(0.3, f"multiplier = {self.random.choice((1, 2, 3))}")
            return self.call(kind, self.kernel(), multiplier, stride, pad, dilation, bias)
        if kind == "separable_conv":
            pad = self.sometimes(0.8, f"pad = {self.padding()}")
            multiplier = self.sometimes(0.3, "multiplier = 2")
            return self.call(kind, self.filters(), self.kernel(), multiplier, stride, pad, dilation, bias)
        groups = self.divisor(channels) if self.chance(0.25) else 1
        words = f"groups = {groups}" if groups > 1 else ""
        if kind == "conv_transpose":
            pad = self.sometimes(0.6, f"pad = {self.per_axis(lambda: self.random.randint(0, 2))}")
            extra = self.sometimes(0.4, f"output_pad = {self.per_axis(lambda: self.random.randint(0, 2))}")
            return self.call(kind, self.filters(groups), self.kernel(), stride, pad, extra, dilation, words, bias)
        pad = self.sometimes(0.8, f"pad = {self.padding()}")
        return self.call(kind, self.filters(groups), self.kernel(), stride, pad, dilation, words, bias)

    def standardisation(self, channels: int) -> str:
        """What some networks do to their input first."""
        if self.chance(0.5):
            return "normalize"
        means = ", ".join(self.real(-1, 1) for _ in range(channels))
        variances = ", ".join(self.real(0.2, 2) for _ in range(channels))
        return f"normalize([{means}], [{variances}])"

    def norm(self, channels: int) -> str:
        """A normalisation that fits a map of this many channels."""
        affine = self.sometimes(0.2, "affine = false")
        eps = self.sometimes(0.3, f"eps = {self.random.choice(('1e-3', '1e-4', '0.01'))}")
        match self.weighted({"batch": 10, "layer": 3, "group": 3, "instance": 2, "local": 1}):
            case "batch":
                momentum = self.sometimes(0.3, f"momentum = {self.random.choice(('0.01', '0.3', '1.0'))}")
                return self.call("batch_norm", eps, momentum, affine)
            case "layer":
                return self.call("layer_norm", self.sometimes(0.4, "axes = all"), eps, affine)
            case "group":
                return self.call("group_norm", str(self.divisor(channels)), eps, affine)
            case "instance":
                return self.call("instance_norm", eps, self.sometimes(0.5, "affine = true"))
            case _:
                rest = f"alpha = {self.real(0.1, 0.9)}, beta = {self.real(0.4, 0.9)}, k = {self.real(1, 2)}"
                return self.call("local_response_norm", str(self.random.randint(1, 5)), self.sometimes(0.7, rest))

    def activation(self) -> str:
        if self.chance(0.4):
            return "relu"
        axes = max(self.rank, 0)
        return self.random.choice(
            (
                "relu6",
                self.call("leaky_relu", self.sometimes(0.6, self.real(0.05, 0.4))),
                self.call("prelu", self.sometimes(0.4, "shared = true")),
                self.call("elu", self.sometimes(0.5, self.real(0.3, 1.5))),
                "selu",
                self.call("celu", self.sometimes(0.5, self.real(0.3, 1.5))),
                self.call("gelu", self.sometimes(0.4, 'approximate = "tanh"')),
                "silu",
                "mish",
                "sigmoid",
                "hard_sigmoid",
                "hard_swish",
                "tanh",
                self.call("hard_tanh", self.sometimes(0.5, f"{self.real(-1, -0.2)}, {self.real(0.2, 1)}")),
                "softplus",
                "softsign",
                "abs",
                self.call("softmax", self.sometimes(0.4, f"axis = {self.random.randint(0, axes)}")),
                self.call("log_softmax", self.sometimes(0.4, f"axis = {self.random.randint(0, axes)}")),
            )
        )

    def drop(self) -> str:
        kinds = ("dropout", "channel_dropout", "stochastic_depth") if self.rank > 0 else ("dropout", "stochastic_depth")
        return f"{self.random.choice(kinds)}(0.{self.random.randint(1, 5)})"

    def pool_layer(self) -> str:
        match self.weighted({"max": 8, "avg": 8, "l2": 2, "adaptive": 4, "global": 2}):
            case "adaptive":
                size = self.per_axis(lambda: self.random.randint(1, min(self.smallest + 2, 7)))
                return f"{self.random.choice(('adaptive_avg_pool', 'adaptive_max_pool'))}({size})"
            case "global":
                return self.random.choice(("global_avg_pool", "global_max_pool"))
            case kind:
                kernel = self.kernel(2)
                stride = self.sometimes(0.7, f"stride = {self.stride()}")
                # At most half the kernel: more is refused.
                pad = self.sometimes(0.6, f"pad = {self.padding(1 if self.chance(0.8) else 2)}")
                dilation = self.sometimes(0.2, "dilation = 2") if kind == "max" else ""
                ceil = self.sometimes(0.3, "ceil_mode = true")
                count = self.sometimes(0.4, "count_pad = true") if kind == "avg" else ""
                return self.call(f"{kind}_pool", kernel, stride, pad, dilation, ceil, count)

    def arranging(self) -> str:
        channels, rank = self.shape[0], self.rank
        choices = [
            f"pad({self.padding_amount()}{self.border()})",
            f"crop({self.padding_amount()})",
            f"upsample({self.per_axis(lambda: self.random.randint(1, 3))})",
            f"upsample(size = {self.per_axis(lambda: self.random.randint(1, 11))})",
            f"channel_shuffle({self.divisor(channels)})",
            f"permute({self.random.sample(range(rank + 1), rank + 1)})",
            f"slice({self.random.randint(0, 2)}, {self.random.randint(1, 6)}, axis = {self.random.randint(0, rank)})",
            f"mean({self.random.randint(0, rank)}{self.sometimes(0.5, ', keep = false')})",
            self.reshaping(),
            "identity",
        ]
        if rank == 2:
            size = self.random.choice(("2", "2x3", "size = 7", "size = 9x6", "size = 3x1"))
            align = self.sometimes(0.4, ", align_corners = true")
            choices += [f"upsample({size}, mode = bilinear{align})"] * 2
            choices += [f"pixel_shuffle({factor})" for factor in (2, 3) if channels % factor**2 == 0] * 3
        return self.random.choice(choices)

    def border(self) -> str:
        return self.sometimes(0.6, self.random.choice((", mode = reflect", ", mode = replicate")))

    def padding_amount(self) -> str:
        return self.pairs(2) if self.chance(0.4) else self.per_axis(lambda: self.random.randint(0, 2))

    def reshaping(self) -> str:
        total = prod(self.shape)
        first = self.divisor(total)
        second = self.divisor(total // first)
        sizes = [first, second, -1] if self.chance(0.7) else [first, -1]
        return f"reshape({sizes})"

    def lone_layer(self) -> str:
        match self.weighted({"norm": 4, "activation": 8, "drop": 1, "scale": 2, "dense": 2}):
            case "norm":
                return self.norm(self.shape[0])
            case "activation":
                return self.activation()
            case "drop":
                return self.drop()
            case "dense":
                axis = ", axis = channels" if self.rank or self.chance(0.3) else ""
                return f"dense({self.filters()}{axis}{self.sometimes(0.3, ', bias = false')})"
            case _:
                return f"scale_shift({self.real(0.3, 2)}{self.sometimes(0.5, f', {self.real(-1, 1)}')})"

    # -- Statements --------------------------------------------------------------------------------------------------

    def chain(self, *, keep: bool = False) -> str:
        """A convolution and what usually follows it."""
        conv = self.conv(keep=keep)
        stages = [conv]
        if self.chance(0.5):
            # Groups are drawn for the number of filters, where it is written as a number.
            found = re.match(r"conv(?:_transpose)?\((\d+),", conv)
            stages.append(self.norm(int(found.group(1)) if found else 1))
        if self.chance(0.75):
            stages.append(self.activation())
        if self.chance(0.08):
            stages.append(self.drop())
        return " -> ".join(stages)

    def unit(self) -> str:
        label = f"{self.fresh('unit')}: " if self.chance(0.2) else ""
        return f"x = x -> {label}{self.chain()}"

    def pooling(self) -> str:
        return f"x = x -> {self.pool_layer()}"

    def arrangement(self) -> str:
        return f"x = x -> {self.arranging()}"

    def lone(self) -> str:
        if self.chance(0.15):
            return self.random.choice(
                (
                    f"x = {self.real(0.3, 2)} * x - {self.real(0, 1)}",
                    f"x = 1 - x / {self.real(1, 3)}",
                    f"x = x + {self.real(0, 1)}",
                )
            )
        return f"x = x -> {self.lone_layer()}"

    def branch(self) -> str:
        """Something beside the flow that joins it again."""
        channels, ones = self.shape[0], ", ".join(["1"] * self.rank)
        # The same number of channels, so that both can be added.
        beside = f"conv({channels}, {self.kernel()}, pad = same) -> {self.activation()}"
        gate = f"x -> global_avg_pool -> conv({max(1, channels // 2)}, 1) -> relu -> conv({channels}, 1) -> sigmoid"
        return self.random.choice(
            (
                f"x = x + (x -> {beside})",
                f"x = (x -> {beside}) - x",
                f"x = x * (x -> {beside})",
                f"x = x / ((x -> {beside} -> softplus) + 1)",
                f"x = x * ({gate})",
                f"x = x * (x -> mean(0) -> {self.random.choice(('sigmoid', 'tanh'))})",
                f"x = concat(x, x -> {self.chain(keep=True)})",
                f"x = concat(x -> {self.chain(keep=True)}, x -> max_pool(3, stride = 1, pad = 1), "
                f"x -> {self.chain(keep=True)})",
                f"x = concat(x -> {self.conv()}, x -> {self.conv()}, axis = {self.random.randint(0, self.rank)})",
                f"y = x -> {self.chain()}\nx = y + (y -> {self.norm(1)})",
                f"x = x * reshape(x -> mean({list(range(1, self.rank + 1))}, keep = false), [{channels}, {ones}])",
            )
        )

    def skip(self) -> str:
        """A value kept for later, or one of those joined."""
        fitting = [name for name, shape in self.kept.items() if shape[1:] == self.shape[1:]]
        if fitting and self.chance(0.7):
            name = self.random.choice(fitting)
            return f"x = concat(x, {name})" if self.kept[name] != self.shape or self.chance(0.5) else f"x = x + {name}"
        near = [name for name, shape in self.kept.items() if len(shape) == len(self.shape) == 3]
        if near and self.chance(0.6):
            name = self.random.choice(near)
            return f"x = concat(x, {name} -> upsample(size = {self.shape[1]}x{self.shape[2]}))"
        name = self.fresh("skip")
        self.kept[name] = self.shape
        return f"{name} = x\nx = x -> {self.chain()}"

    def group(self) -> str:
        label = f"{self.fresh('stage')}: " if self.chance(0.6) else ""
        second = self.random.choice((self.pool_layer(), self.lone_layer(), "max_pool(2)", "relu"))
        return f"x = x -> {label}{{\n    {self.chain()}\n    {second}\n}}"

    def loop(self) -> str:
        activation = self.activation()
        first, step = self.random.randint(2, 5), self.random.randint(1, 3)
        label = f"{self.fresh('layer')}.{{i}}: " if self.chance(0.5) else ""
        match self.random.randint(0, 3):
            case 0:
                inner = f"x = x -> {label}conv({first} + {step} * i, 3, pad = 1) -> {activation}"
            case 1:
                inner = (
                    f"x = x -> {label}conv({first * 2}, 3, stride = i + 1, pad = same) -> batch_norm -> {activation}"
                )
            case 2:
                inner = f"x = concat(x, x -> {label}conv({first}, i + 1, pad = same) -> {activation})"
            case _:
                inner = f"x = x + (x -> {label}depthwise_conv(3, pad = i + 1, dilation = i + 1) -> {activation})"
        return f"for i in range({self.random.randint(2, 3)}) {{\n    {inner}\n}}"

    def split(self) -> str:
        axis = self.weighted({0: 4.0, self.random.randint(0, self.rank): 1.0})
        size = self.shape[axis]
        if size < 2:
            return self.unit()
        words = f", axis = {axis}" if axis else ""
        if size % 2 == 0 and self.chance(0.6):
            cut = f"left, right = split(x, 2{words})"
            joined = self.random.choice(
                (
                    f"concat(left, right -> {self.activation()}{words})",
                    "left * (right -> sigmoid)",
                    f"left + (right -> {self.activation()})",
                )
            )
        else:
            first = self.random.randint(1, size - 1)
            cut = f"left, right = split(x, [{first}, {size - first}]{words})"
            joined = f"concat(right, left -> {self.activation()}{words})"
        return f"{cut}\nx = {joined}"

    def learned(self) -> str:
        ones = ", ".join(["1"] * self.rank)
        shape = self.random.choice((f"[x.channels, {ones}]", f"[{', '.join(map(str, self.shape))}]"))
        name = self.fresh("gamma")
        return f"{name} = scale{self.names}: parameter({shape}, init = 0.5)\nx = x {self.random.choice('*+')} {name}"

    def flat(self) -> str:
        """A statement for a vector."""
        match self.weighted({"dense": 8, "lone": 4, "back": 3, "join": 2, "drop": 1}):
            case "dense":
                return f"x = x -> dense({self.filters()}) -> {self.activation()}"
            case "lone":
                return f"x = x -> {self.lone_layer()}"
            case "back":
                return f"x = x -> {self.reshaping()}"
            case "join":
                return self.random.choice(
                    (
                        f"x = x + (x -> dense({self.shape[0]}) -> {self.activation()})",
                        "x = concat(x, x -> dense(3) -> tanh)",
                        "x = x * (x -> softmax)",
                        f"x = x -> channel_shuffle({self.divisor(self.shape[0])})",
                        "x = x -> slice(0, 3)",
                    )
                )
            case _:
                return f"x = x -> {self.drop()}"

    def head(self, classes: int) -> str:
        if len(self.shape) == 1:
            return f"dense({classes}){self.sometimes(0.4, ' -> softmax')}"
        ending = self.random.choice(("", "", " -> softmax", " -> log_softmax", " -> sigmoid"))
        return self.random.choice(
            (
                f"global_avg_pool -> flatten -> dense({classes}){ending}",
                f"flatten -> dense({classes}){ending}",
                f"flatten -> dense(6) -> {self.activation()} -> dropout(0.5) -> dense({classes}){ending}",
                f"adaptive_avg_pool(2) -> flatten -> dense({classes}){ending}",
                f"flatten -> batch_norm -> relu -> dense({classes}){ending}",
                f"conv({classes}, 1){ending}",
                f"conv({classes}, 1) -> global_max_pool -> flatten{ending}",
                f"flatten{ending}",
            )
        )

    # -- Blocks ------------------------------------------------------------------------------------------------------

    def used_block(self) -> bool:
        """A block of its own and two to four uses of it with different arguments."""
        name = f"Unit{len(self.blocks) + 1}"
        body = self.block_body()
        defaults = {
            "filters": "",
            "kernel": self.random.choice(("1", "3", "5")),
            "stride": "1",
            "act": self.activation(),
            "norm": self.random.choice(("batch_norm", "identity", "layer_norm")),
            "depth": self.random.choice(("1", "2")),
            "rate": "0.1",
            "project": "true",
        }
        taken = [key for key in defaults if re.search(rf"\b{key}\b(?! =)", body)]
        listed = ", ".join(f"{key} = {defaults[key]}" if defaults[key] else key for key in taken)
        block = f"block {name}{f'({listed})' if listed else ''} {{\n{body}\n}}"
        wanted, uses = self.random.randint(2, 4), 0
        for _ in range(TRIES):
            call = f"{name}{self.block_arguments(taken)}"
            label = f"{self.fresh('body')}: " if self.chance(0.3) else ""
            if self.add(f"x = x -> {label}{call}", "" if uses else block):
                uses += 1
            if uses == wanted:
                break
        return uses > 0

    def block_arguments(self, taken: Sequence[str]) -> str:
        values: dict[str, Callable[[], str]] = {
            "kernel": lambda: str(self.random.choice((1, 2, 3, 3, 5))),
            "stride": lambda: str(self.random.choice((1, 1, 2, 3))),
            "act": self.activation,
            "norm": lambda: self.norm(4),
            "depth": lambda: str(self.random.randint(1, 3)),
            "rate": lambda: self.random.choice(("0.0", "0.2")),
            "project": lambda: self.random.choice(("true", "false")),
        }
        parts = [self.filters()] if "filters" in taken else []
        parts += [f"{key} = {values[key]()}" for key in taken if key in values and self.chance(0.45)]
        return f"({', '.join(parts)})" if parts else ""

    def block_body(self) -> str:
        # The last are pairs for each axis of the map that the block is used on.
        pad = self.random.choice(("kernel // 2", "same", "same", "[(kernel // 2, 0)] * (x.rank - 1)"))
        bias = self.sometimes(0.4, ", bias = false")
        match self.random.randint(0, 8):
            case 0:
                lines = [
                    f"y = x -> conv(filters, kernel, stride = stride, pad = same{bias}) -> norm -> act",
                    "y = y -> conv(filters, 3, pad = 1) -> norm",
                    "if stride != 1 or x.channels != filters {",
                    "    x = x -> shortcut: conv(filters, 1, stride = stride) -> norm",
                    "}",
                    *self.some(0.3, "y = y -> stochastic_depth(rate)"),
                    "x + y -> act",
                ]
            case 1:
                lines = [
                    "y = x",
                    *self.some(0.7, "y = y -> expand: conv(2 * x.channels, 1) -> norm -> act"),
                    f"y = y -> depthwise_conv(kernel, stride = stride, pad = {pad}{bias}) -> norm -> act",
                    *self.some(0.5, "y = y * (y -> global_avg_pool -> conv(y.channels, 1) -> hard_sigmoid)"),
                    "y = y -> conv(filters, 1) -> norm",
                    "if y.shape == x.shape {",
                    "    y = x + y",
                    "}",
                    "y -> identity",
                ]
            case 2:
                lines = [
                    "for i in range(depth) {",
                    "    x = concat(x, x -> norm -> act -> conv(2 + i, kernel, pad = same))",
                    "}",
                    "x -> act",
                ]
            case 3:
                lines = [
                    "concat(",
                    "    x -> conv(filters, 1) -> act,",
                    "    x -> conv(filters, 1) -> act -> conv(filters, kernel, pad = same) -> norm,",
                    f"    x -> {self.random.choice(('max', 'avg'))}_pool(3, stride = 1, pad = 1) -> act,",
                    ")",
                ]
            case 4:
                lines = [
                    "scale = x -> global_avg_pool -> conv(max(1, x.channels // 2), 1) -> act -> conv(x.channels, 1)",
                    "x * (scale -> sigmoid)",
                ]
            case 5:
                lines = [
                    f"y = x -> conv_transpose(filters, kernel, stride = stride, pad = kernel // 2{bias})",
                    "y = y -> norm -> act",
                    "y -> conv(filters, 3, pad = 1)",
                ]
            case 6:
                lines = [
                    f"y = x -> conv(filters, kernel, stride = stride, pad = {pad}, dilation = depth{bias})",
                    "y = if project then y -> norm -> act else y -> act",
                    "y -> norm",
                ]
            case 7:
                pooled = self.random.choice(
                    ("max_pool(kernel, stride = stride, pad = same)", "avg_pool(kernel, stride = stride, pad = same)")
                )
                lines = [
                    f"y = x -> {pooled}",
                    "z = x -> conv(filters, kernel, stride = stride, pad = same) -> act",
                    "concat(y, z)",
                ]
            case _:
                lines = [
                    "if project {",
                    "    x = x -> inner: { conv(filters, 1) -> norm",
                    "        act }",
                    "}",
                    "for i in range(depth) {",
                    "    x = x -> layer{i}: conv(filters, kernel, pad = same) -> act",
                    "}",
                    "x -> norm",
                ]
        return "\n".join(_indented(["input x", *lines]))

    def some(self, probability: float, line: str) -> list[str]:
        return [line] if self.chance(probability) else []


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _dims(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _loaded(text: str) -> Graph | None:
    try:
        return api.loads(text)
    except SpecError:
        return None


def _output_shape(graph: Graph) -> Shape:
    """The shape of what flows at the end: the last output that is not auxiliary."""
    return _known(graph.shape([port for port in graph.outputs if not port.auxiliary][-1].value))


def _small(graph: Graph) -> bool:
    shapes = [_known(shape) for shape in graph.values]
    if sum(weight.size for weight in graph.state.values()) > MOST_PARAMETERS:
        return False
    return all(prod(shape) <= MOST_VALUES and (len(shape) == 1 or shape[0] <= MOST_CHANNELS) for shape in shapes)


def _well_conditioned(graph: Graph) -> bool:
    """Whether no norm takes its mean over a few values: what it gives then is little but their signs, and rounding."""
    for node in graph.layers:
        if isinstance(node.layer, Normalisation):
            channels, *sizes = _known(graph.shape(node.inputs[0]))
            match node.layer:
                case BatchNorm():
                    count = LEAST_BATCH * prod(sizes)
                case LayerNorm(axes="channels"):
                    count = channels
                case GroupNorm():
                    count = channels // node.layer.groups * prod(sizes)
                case InstanceNorm():
                    count = prod(sizes)
                case _:
                    continue
            if count < LEAST_NORMALISED:
                return False
    return True


def _known(shape: Sequence[Dim]) -> Shape:
    return tuple(int(size) for size in shape if isinstance(size, int))
