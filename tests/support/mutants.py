"""The mutants: one small change of meaning each, of a kind that has happened, or easily could.

They live in small networks that end in a classifier, with several layers after the one that changes.  No change is one
in writing only: a ReLU applied twice, or padding with zeros in place of minus infinity after a ReLU, changes nothing
and cannot be found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnspec.layers.base import Layer
from cnnspec_reference.definition import Array, Definition, Given, Pulled, Result
from support.mutation import Edit, Misread, Mutant, Redefine


def small(middle: str, image: str = "3x17x20") -> str:
    """A small network around some layers, of which one is called ``middle``; 8 channels come in."""
    return f"""
model Small(classes = 10) {{
    input image: {image}
    conv1: conv(8, 3x3, stride = 2, pad = 1, bias = false) -> bn1: batch_norm
    {middle}
    conv2: conv(12, 3x3, pad = 1, bias = false) -> bn2: batch_norm -> act2: relu
    pool2: max_pool(2x2)
    conv3: conv(12, 3x3, pad = 1) -> act3: relu
    pool3: global_avg_pool -> flatten -> fc: dense(classes)
}}
"""


RESIDUAL = """
block Residual(width, stride = 1) {
    input x
    y = x -> conv1: conv(width, 3x3, stride = stride, pad = 1, bias = false) -> bn1: batch_norm -> act1: relu
          -> conv2: conv(width, 3x3, pad = 1, bias = false) -> bn2: batch_norm
    if stride != 1 or x.channels != width {
        x = x -> downsample: { conv(width, 1x1, stride = stride, bias = false) -> batch_norm }
    }
    x + y -> act2: relu
}

model SmallResNet(classes = 10) {
    input image: 3x18x21
    conv1: conv(8, 7x7, stride = 2, pad = 3, bias = false) -> bn1: batch_norm -> act1: relu
    pool1: max_pool(3x3, stride = 2, pad = 1)
    layer1: Residual(8)
    layer2: Residual(12, stride = 2)
    pool: global_avg_pool -> flatten -> fc: dense(classes)
}
"""
PREACTIVATED = """
block Residual {
    input x
    h = x -> bn1: batch_norm -> act1: relu
    y = h -> conv1: conv(8, 3x3, pad = 1, bias = false) -> bn2: batch_norm -> act2: relu -> conv2: conv(8, 3x3, pad = 1)
    x + y
}

model SmallPreActivated(classes = 10) {
    input image: 3x18x21
    conv1: conv(8, 3x3, stride = 2, pad = 1)
    layer1: Residual
    layer2: Residual
    bn: batch_norm -> act: relu -> pool: global_avg_pool -> flatten -> fc: dense(classes)
}
"""
LENET = """
model SmallLeNet(classes = 10) {
    input image: 1x18x16
    conv1: conv(6, 5x5) -> act1: tanh -> pool1: avg_pool(2x2)
    conv2: conv(8, 3x3, pad = 1) -> act2: tanh -> pool2: avg_pool(2x2)
    flatten: flatten -> fc1: dense(24) -> act3: tanh -> fc2: dense(24) -> act4: tanh -> fc3: dense(classes)
}
"""
EXCITATION = """
block Excitation(squeezed) {
    input x
    gate = x -> global_avg_pool -> fc1: conv(squeezed, 1x1) -> act: relu -> fc2: conv(x.channels, 1x1)
             -> gate: hard_sigmoid
    gate * x
}
""" + small("middle: Excitation(4)")
NORMED = small("conv0: conv(8, 3x3, pad = 1, bias = false)\n    middle: batch_norm")
SHUFFLED = """
block Unit {
    input x
    left, right = split(x, 2)
    right = right -> conv1: conv(4, 1x1, bias = false) -> bn1: batch_norm -> act1: relu
                  -> conv2: depthwise_conv(3x3, pad = 1, bias = false) -> bn2: batch_norm
    concat(left, right) -> shuffle: channel_shuffle(2)
}
""" + small("middle: Unit")
SHARPENED = """
block Sharpened {
    input x
    blurred = x -> blur: avg_pool(3x3, stride = 1, pad = 1)
    x - blurred
}
""" + small("middle: Sharpened")
SCALED = """
block Scaled {
    input x
    y = x -> conv1: conv(8, 3x3, pad = 1)
    scale = gamma: parameter([x.channels, 1, 1], init = 1e-6)
    x + scale * y
}
""" + small("middle: Scaled")


def changed_weight(change: Callable[[Array], Array], name: str = "weight") -> Redefine:
    """The layer with its weight changed."""

    def function(definition: Definition, layer: Layer, given: Given) -> Result:
        return definition(layer, given._replace(weights={**given.weights, name: change(given.weights[name])}))

    return Redefine(function)


def _turned(definition: Definition, layer: Layer, given: Given) -> Result:
    """A transposed convolution that works from the other end: `output_pad` adds rows at the beginning."""
    (x,) = given.inputs
    weight = given.weights["weight"]
    turned = given._replace(
        inputs=(x[:, :, ::-1, ::-1],), weights={**given.weights, "weight": weight[:, :, ::-1, ::-1]}
    )
    result = definition(layer, turned)
    return Result((result.outputs[0][:, :, ::-1, ::-1],), result.pull)


def _cells_first(definition: Definition, layer: Any, given: Given) -> Result:
    """A pixel shuffle whose channels are ``r * r * C`` and not ``C * r * r``, as in `depth_to_space`."""
    (x,) = given.inputs
    cells = layer.factor**2
    order = np.arange(x.shape[1]).reshape(cells, -1).T.ravel()
    return definition(layer, given._replace(inputs=(x[:, order],)))


def _averaged(definition: Definition, layer: Layer, given: Given) -> Result:
    """A layer whose bias gets the mean of the gradients of all samples, not their sum."""
    result = definition(layer, given)

    def pull(gradients: tuple[Array, ...]) -> Pulled:
        inputs, weights = result.pull(gradients)
        return Pulled(inputs, {**weights, "bias": weights["bias"] / given.batch})

    return Result(result.outputs, pull, result.statistics)


def torch_class(name: str, base: str, body: str) -> str:
    """A module whose forward method is another."""
    lines = "".join(f"        {line}\n" for line in body.strip().split("\n"))
    return f"import torch.nn.functional as F\n\n\nclass {name}({base}):\n    def forward(self, x):\n{lines}\n"


def torch_forward(module: str, body: str) -> Edit:
    """``self.middle`` computes something else, and is the same module otherwise."""
    return Edit(
        rf"self\.middle = nn\.{module}\(", "self.middle = Mutated(", torch_class("Mutated", f"nn.{module}", body)
    )


CONVOLUTIONS = [
    Mutant(
        "`same` for symmetric padding, stride 2",
        "keras",
        RESIDUAL,
        "conv1",
        Edit(
            r"x = layers\.ZeroPadding2D\(3, .*\n    x = layers\.Conv2D\(8, 7, strides=2, (.*)\)\(x\)",
            r'x = layers.Conv2D(8, 7, strides=2, padding="same", \1)(image)',
        ),
    ),
    Mutant(
        "padding before in place of after",
        "torch",
        small("middle: conv(8, 3x3, stride = 2, pad = [(0, 1), (0, 1)])"),
        "middle",
        Misread({"pad": ((1, 0), (1, 0))}),
    ),
    Mutant(
        "kernel's height and width swapped",
        "torch",
        small("middle: conv(8, 3x3, pad = 1)"),
        "middle",
        torch_forward("Conv2d", "return self._conv_forward(x, self.weight.transpose(2, 3), self.bias)"),
    ),
    Mutant(
        "kernel flipped",
        "torch",
        small("middle: conv(8, 3x3, pad = 1)"),
        "middle",
        torch_forward("Conv2d", "return self._conv_forward(x, self.weight.flip(2, 3), self.bias)"),
    ),
    Mutant(
        "filters of groups interleaved",
        "torch",
        small("middle: conv(8, 3x3, pad = 1, groups = 2)"),
        "middle",
        torch_forward(
            "Conv2d",
            "weight = self.weight.unflatten(0, (-1, 2)).transpose(0, 1).flatten(0, 1)\n"
            "return self._conv_forward(x, weight, self.bias)",
        ),
    ),
    Mutant(
        "dilation dropped, padding adjusted",
        "torch",
        small("middle: conv(8, 3x3, pad = 2, dilation = 2)"),
        "middle",
        Misread({"dilation": 1, "pad": 1}),
    ),
    Mutant(
        "stride on the other axis",
        "keras",
        small("middle: conv(8, 3x3, stride = 2x1, pad = 1)"),
        "middle",
        Misread({"stride": (1, 2)}),
    ),
    Mutant(
        "bias not added",
        "torch",
        small("middle: conv(8, 3x3, pad = 1)"),
        "middle",
        torch_forward("Conv2d", "return self._conv_forward(x, self.weight, None)"),
    ),
    Mutant(
        "bias added twice",
        "reference",
        small("middle: conv(8, 3x3, pad = 1)"),
        "middle",
        changed_weight(lambda bias: 2 * bias, "bias"),
    ),
    Mutant(
        "multiplier before channel in the filters' order",
        "reference",
        small("middle: depthwise_conv(3x3, multiplier = 2, pad = 1)"),
        "middle",
        changed_weight(lambda weight: weight.reshape(2, -1, *weight.shape[1:]).swapaxes(0, 1).reshape(weight.shape)),
    ),
    Mutant(
        "kernel flipped",
        "torch",
        small("middle: conv_transpose(8, 4x4, stride = 2, pad = 1)"),
        "middle",
        torch_forward(
            "ConvTranspose2d",
            "return F.conv_transpose2d(x, self.weight.flip(2, 3), self.bias, self.stride, self.padding)",
        ),
    ),
    Mutant(
        "`same` for padding 1 and output padding 1",
        "keras",
        small("middle: conv_transpose(8, 3x3, stride = 2, pad = 1, output_pad = 1)"),
        "middle",
        Edit(
            r'output_padding=1, name="middle"\)\(x\)\n    x = layers\.Cropping2D\(1, name="middle_crop"\)\(x\)',
            r'padding="same", name="middle")(x)',
        ),
    ),
    Mutant(
        "output padding before in place of after",
        "reference",
        small("middle: conv_transpose(8, 3x3, stride = 2, pad = 1, output_pad = 1)"),
        "middle",
        Redefine(_turned),
    ),
    Mutant(
        "output padding left at the bias",
        "torch",
        small("middle: conv_transpose(8, 3x3, stride = 2, pad = 1, output_pad = 1)"),
        "middle",
        torch_forward(
            "ConvTranspose2d",
            "y = F.conv_transpose2d(x, self.weight, None, self.stride, self.padding)\n"
            "return F.pad(y, (0, 1, 0, 1)) + self.bias.reshape(-1, 1, 1)",
        ),
    ),
    Mutant(
        "kernel transposed, 24 to 24",
        "torch",
        LENET,
        "fc2",
        Edit(
            r"self\.fc2 = nn\.Linear\(",
            "self.fc2 = Mutated(",
            torch_class("Mutated", "nn.Linear", "return F.linear(x, self.weight.T, self.bias)"),
        ),
    ),
]
POOLING = [
    Mutant(
        "padding of zeros, not minus infinity",
        "keras",
        small("middle: max_pool(3x3, stride = 2, pad = 1)"),
        "middle",
        Edit(r'float\("-inf"\)', "0.0"),
    ),
    Mutant(
        "`ceil_mode` dropped",
        "torch",
        small("middle: max_pool(2x2, ceil_mode = true)"),
        "middle",
        Misread({"ceil_mode": False}),
    ),
    Mutant(
        "dilation dropped, padding adjusted",
        "reference",
        small("middle: max_pool(3x3, stride = 1, pad = 1, dilation = 2)"),
        "middle",
        Misread({"dilation": 1, "pad": 0}),
    ),
    Mutant(
        "padding counted",
        "torch",
        small("middle: avg_pool(3x3, stride = 2, pad = 1)"),
        "middle",
        Misread({"count_pad": True}),
    ),
    Mutant(
        "padding not counted",
        "keras",
        small("middle: avg_pool(3x3, stride = 1, pad = 1, count_pad = true)"),
        "middle",
        Misread({"count_pad": False}),
    ),
    Mutant(
        "a strided window in place of an adaptive one",
        "torch",
        small("middle: adaptive_avg_pool(4x4)"),
        "middle",
        Edit(r"nn\.AdaptiveAvgPool2d\(4\)", "nn.AvgPool2d((3, 4), stride=2)"),
    ),
    Mutant(
        "mean in place of sum",
        "keras",
        small("middle: l2_pool(2x2)"),
        "middle",
        Edit(r"\n            total = total \* size", "\n            pass"),
    ),
    Mutant(
        "largest value in place of average",
        "torch",
        RESIDUAL,
        "pool",
        Edit(r"nn\.AdaptiveAvgPool2d\(1\)", "nn.AdaptiveMaxPool2d(1)"),
    ),
]
NORMALISATION = [
    Mutant("epsilon 1e-3, Keras's own", "keras", RESIDUAL, "bn1", Misread({"eps": 1e-3})),
    Mutant("epsilon 2e-5", "torch", RESIDUAL, "bn1", Misread({"eps": 2e-5})),
    Mutant(
        "epsilon outside the root",
        "reference",
        RESIDUAL,
        "bn1",
        changed_weight(lambda var: (np.sqrt(var) + 1e-5) ** 2 - 1e-5, "running_var"),
    ),
    Mutant(
        "running mean not subtracted",
        "reference",
        RESIDUAL,
        "bn1",
        changed_weight(lambda mean: 0 * mean, "running_mean"),
    ),
    Mutant(
        "batch statistics in evaluation",
        "torch",
        NORMED,
        "middle",
        torch_forward("BatchNorm2d", "return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.1, self.eps)"),
    ),
    Mutant(
        "running statistics in training",
        "keras",
        NORMED,
        "middle",
        Edit(r'name="middle"\)', 'name="middle", trainable=False)'),
    ),
    Mutant(
        "momentum in the other convention",
        "keras",
        NORMED,
        "middle",
        Misread({"momentum": 0.9}),
    ),
    Mutant(
        "running variance divided by n",
        "torch",
        NORMED,
        "middle",
        torch_forward(
            "BatchNorm2d",
            "before = self.running_var.clone()\n"
            "y = super().forward(x)\n"
            "if self.training:\n"
            "    var = x.detach().var((0, 2, 3), correction=0)\n"
            "    self.running_var.copy_(before.lerp(var, self.momentum))\n"
            "return y",
        ),
    ),
    Mutant(
        "normalised with a variance divided by n - 1",
        "torch",
        NORMED,
        "middle",
        torch_forward(
            "BatchNorm2d",
            "y = super().forward(x)\n"
            "if self.training:\n"
            "    centred = x - x.mean((0, 2, 3), keepdim=True)\n"
            "    y = centred / (x.var((0, 2, 3), keepdim=True) + self.eps).sqrt()\n"
            "    y = y * self.weight.reshape(-1, 1, 1) + self.bias.reshape(-1, 1, 1)\n"
            "return y",
        ),
    ),
    Mutant("epsilon 1e-3, Keras's own", "keras", small("middle: layer_norm"), "middle", Misread({"eps": 1e-3})),
    Mutant("epsilon 1e-6", "torch", small("middle: layer_norm"), "middle", Misread({"eps": 1e-6})),
    Mutant(
        "over the channels, not over all axes",
        "reference",
        small("middle: layer_norm(axes = all, affine = false)"),
        "middle",
        Misread({"axes": "channels"}),
    ),
    Mutant("4 groups in place of 2", "torch", small("middle: group_norm(2)"), "middle", Misread({"groups": 4})),
    Mutant("epsilon 1e-3, Keras's own", "keras", small("middle: group_norm(2)"), "middle", Misread({"eps": 1e-3})),
    Mutant(
        "weight and bias dropped",
        "torch",
        small("middle: instance_norm(affine = true)"),
        "middle",
        torch_forward("InstanceNorm2d", "return F.instance_norm(x, eps=self.eps)"),
    ),
    Mutant(
        "alpha not divided by the size",
        "reference",
        small("middle: local_response_norm(5)"),
        "middle",
        Misread({"alpha": 5e-4}),
    ),
    Mutant(
        "even window to the other side",
        "keras",
        small("middle: local_response_norm(4)"),
        "middle",
        Edit(r"\(self\.size // 2, \(self\.size - 1\) // 2\)", "((self.size - 1) // 2, self.size // 2)"),
    ),
]
ACTIVATIONS = [
    Mutant(
        "skipped",
        "torch",
        RESIDUAL,
        "act1",
        Edit(r"self\.act1 = nn\.ReLU\(inplace=True\)", "self.act1 = nn.Identity()"),
    ),
    Mutant("slope 0.3, Keras's own", "keras", small("middle: leaky_relu"), "middle", Misread({"slope": 0.3})),
    Mutant("slope 0.0101", "torch", small("middle: leaky_relu"), "middle", Misread({"slope": 0.0101})),
    Mutant(
        "one slope for all channels",
        "keras",
        small("middle: prelu"),
        "middle",
        Edit(r"x \* self\.alpha\)", "x * self.alpha[0])"),
    ),
    Mutant("alpha dropped", "torch", small("middle: elu(0.5)"), "middle", Misread({"alpha": 1.0})),
    Mutant(
        "`elu` with its alpha",
        "torch",
        small("middle: celu(0.5)"),
        "middle",
        Edit(r"nn\.CELU\(", "nn.ELU("),
    ),
    Mutant("scale 1.05", "keras", small("middle: selu"), "middle", Edit("1.0507009873554805", "1.05")),
    Mutant("approximated with tanh", "torch", small("middle: gelu"), "middle", Misread({"approximate": "tanh"})),
    Mutant(
        "approximated as x * sigmoid(1.702 * x)",
        "keras",
        small("middle: gelu"),
        "middle",
        Edit(r"return x \* 0\.5 \* .*", "return x * ops.sigmoid(1.702 * x)"),
    ),
    Mutant(
        "0.2 * x + 0.5, the old form",
        "keras",
        small("middle: hard_sigmoid"),
        "middle",
        Edit(r"return ops\.where\(x <= -3.*", "return ops.clip(0.2 * x + 0.5, 0.0, 1.0)"),
    ),
    Mutant(
        "hard swish in its place", "torch", small("middle: silu"), "middle", Edit(r"nn\.SiLU\(\)", "nn.Hardswish()")
    ),
    Mutant(
        "beta 2",
        "torch",
        small("middle: softplus"),
        "middle",
        Edit(r"nn\.Softplus\(.*\)", "nn.Softplus(beta=2, threshold=40)"),
    ),
    Mutant(
        "limits dropped",
        "keras",
        small("middle: hard_tanh(-0.5, 0.5)"),
        "middle",
        Misread({"low": -1.0, "high": 1.0}),
    ),
    Mutant("over rows, not channels", "torch", small("middle: softmax"), "middle", Misread({"axis": 1})),
    Mutant("over columns, not channels", "reference", small("middle: log_softmax"), "middle", Misread({"axis": 2})),
]
ARRANGEMENT = [
    Mutant(
        "channels last",
        "keras",
        LENET,
        "flatten",
        Edit(r'    x = layers\.Permute\(.*name="flatten_permute"\)\(x\).*\n', ""),
    ),
    Mutant(
        "rows and columns swapped",
        "torch",
        LENET,
        "flatten",
        Edit(r"self\.flatten\(x\)", "self.flatten(x.transpose(2, 3))"),
    ),
    Mutant(
        "axes put back in place of forth",
        "torch",
        small("middle: permute([1, 2, 0])", "3x16x16"),
        "middle",
        Misread({"order": (2, 0, 1)}),
    ),
    Mutant(
        "one channel further",
        "torch",
        small("middle: slice(0, 4)"),
        "middle",
        Misread({"start": 1, "stop": 5}),
    ),
    Mutant(
        "cut before in place of after",
        "keras",
        small("middle: crop([(0, 1), (0, 1)])"),
        "middle",
        Misread({"amount": ((1, 0), (1, 0))}),
    ),
    Mutant(
        "border repeated in place of mirrored",
        "torch",
        small("middle: pad(1, mode = reflect)"),
        "middle",
        Misread({"mode": "replicate"}),
    ),
    Mutant(
        "`align_corners` for its opposite",
        "torch",
        small("middle: upsample(2, mode = bilinear)"),
        "middle",
        Misread({"align_corners": True}),
    ),
    Mutant(
        "`align_corners` dropped",
        "keras",
        small("middle: upsample(2, mode = bilinear, align_corners = true)"),
        "middle",
        Misread({"align_corners": False}),
    ),
    Mutant(
        "neighbours taken from the centre (`nearest-exact`)",
        "keras",
        small("middle: upsample(size = 12x13)"),
        "middle",
        Edit(
            r"ops\.arange\(size\) \* ops\.shape\(x\)\[axis\] // size",
            "(2 * ops.arange(size) + 1) * ops.shape(x)[axis] // (2 * size)",
        ),
    ),
    Mutant(
        "interpolated in place of repeated",
        "keras",
        small("middle: upsample(2)"),
        "middle",
        Edit(r"UpSampling2D\(2, ", 'UpSampling2D(2, interpolation="bilinear", '),
    ),
    Mutant(
        "inputs in the other order",
        "torch",
        SHUFFLED,
        "middle.concat_1",
        Edit(r"torch\.cat\(\(left, right\)", "torch.cat((right, left)"),
    ),
    Mutant(
        "halves swapped",
        "keras",
        SHUFFLED,
        "middle.split_1",
        Edit(r"left, right = Split\(2", "right, left = Split(2"),
    ),
    Mutant("shuffled back in place of forth", "torch", SHUFFLED, "middle.shuffle", Misread({"groups": 4})),
    Mutant("cells before channels", "reference", small("middle: pixel_shuffle(2)"), "middle", Redefine(_cells_first)),
]
ARITHMETIC = [
    Mutant(
        "the shortcut taken after the first ReLU",
        "torch",
        PREACTIVATED,
        "layer1.add_1",
        Edit(r"return x \+ y", "return h + y"),
    ),
    Mutant(
        "the shortcut left out",
        "keras",
        PREACTIVATED,
        "layer1.add_1",
        Edit(r'return layers\.Add\(name=f"\{name\}_add_1"\)\(\[x, y\]\)', "return y"),
    ),
    Mutant(
        "operands swapped",
        "keras",
        SHARPENED,
        "middle.subtract_1",
        Edit(r"\(\[x, blurred\]\)", "([blurred, x])"),
    ),
    Mutant("divided in place of multiplied", "torch", EXCITATION, "middle.multiply_1", Edit("gate \\* x", "x / gate")),
    Mutant("layer scale left out", "torch", SCALED, "middle.multiply_1", Edit("y = scale \\* y", "y = y")),
    Mutant(
        "shifted before scaled",
        "reference",
        small("middle: scale_shift(2, -0.5)"),
        "middle",
        Misread({"shift": -1.0}),
    ),
]
GRADIENTS = [
    Mutant(
        "no gradient through the shortcut",
        "torch",
        PREACTIVATED,
        "layer1.add_1",
        Edit(r"return x \+ y", "return x.detach() + y"),
        "gradient",
    ),
    Mutant(
        "no gradient through the gate",
        "keras",
        EXCITATION,
        "middle.multiply_1",
        Edit(r"\(\[gate, x\]\)", "([ops.stop_gradient(gate), x])"),
        "gradient",
        shown_at="middle.fc2.weight",
    ),
    Mutant(
        "gradient straight through",
        "torch",
        RESIDUAL,
        "act1",
        Edit(
            r"self\.act1 = nn\.ReLU\(inplace=True\)",
            "self.act1 = Mutated()",
            torch_class("Mutated", "nn.ReLU", "return x + (F.relu(x) - x).detach()"),
        ),
        "gradient",
    ),
    Mutant(
        "gradient of the approximation",
        "torch",
        small("middle: gelu"),
        "middle",
        torch_forward("GELU", 'y = F.gelu(x, approximate="tanh")\nreturn y + (F.gelu(x) - y).detach()'),
        "gradient",
    ),
    Mutant(
        "no gradient through the batch's statistics",
        "torch",
        NORMED,
        "middle",
        torch_forward(
            "BatchNorm2d",
            "y = super().forward(x)\n"
            "if self.training:\n"
            "    mean = x.mean((0, 2, 3), keepdim=True).detach()\n"
            "    var = x.var((0, 2, 3), correction=0, keepdim=True).detach()\n"
            "    y = (x - mean) / (var + self.eps).sqrt()\n"
            "    y = y * self.weight.reshape(-1, 1, 1) + self.bias.reshape(-1, 1, 1)\n"
            "return y",
        ),
        "gradient",
    ),
    Mutant(
        "no gradient of the kernel",
        "torch",
        small("middle: conv(8, 3x3, pad = 1)"),
        "middle",
        torch_forward("Conv2d", "return self._conv_forward(x, self.weight.detach(), self.bias)"),
        "gradient",
    ),
    Mutant(
        "gradient of the bias averaged over the batch",
        "reference",
        small("middle: conv(8, 3x3, pad = 1)"),
        "middle",
        Redefine(_averaged),
        "gradient",
    ),
]

MUTANTS = [*CONVOLUTIONS, *POOLING, *NORMALISATION, *ACTIVATIONS, *ARRANGEMENT, *ARITHMETIC, *GRADIENTS]
