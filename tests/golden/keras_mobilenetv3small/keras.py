"""MobileNetV3Small, generated from mobilenet_v3.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 2,542,856
Multiply-accumulates: 56,510,400
Compiled with alpha = 1.0
"""

from collections.abc import Callable
from functools import partial

import keras
from keras import layers, ops


def round_to(
    value: float, multiple: int, least: int | None = None, limit: float = 0.9
) -> int:
    """Give the multiple nearest to a value, never below ``limit`` times it."""
    least = multiple if least is None else least
    rounded = max(least, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded


@keras.saving.register_keras_serializable(package="cnnspec")
class ScaleShift(layers.Layer):
    """Multiplies by one number and adds another, in the precision of what it gets."""

    def __init__(self, scale: float, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.shift = shift

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x * self.scale + self.shift

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"scale": self.scale, "shift": self.shift}


@keras.saving.register_keras_serializable(package="cnnspec")
def hard_sigmoid(x: keras.KerasTensor) -> keras.KerasTensor:
    """Sigmoid of three straight pieces, with derivative zero at both kinks."""
    return ops.where(x <= -3, 0.0, ops.where(x >= 3, 1.0, (x + 3) / 6))


@keras.saving.register_keras_serializable(package="cnnspec")
def hard_swish(x: keras.KerasTensor) -> keras.KerasTensor:
    """Swish with a sigmoid of three straight pieces."""
    return x * ops.where(x <= -3, 0.0, ops.where(x >= 3, 1.0, (x + 3) / 6))


def squeeze_excite(
    x: keras.KerasTensor, squeezed: int, *, name: str
) -> keras.KerasTensor:
    """56x56x16 -> 56x56x16 at `expanded_conv.squeeze_excite`, the first of 9 uses."""
    in_channels = x.shape[-1]
    scale = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(x)
    scale = layers.Conv2D(squeezed, 1, name=f"{name}_conv")(scale)
    scale = layers.ReLU(name=f"{name}_relu")(scale)
    scale = layers.Conv2D(in_channels, 1, name=f"{name}_conv_1")(scale)
    scale = layers.Activation(hard_sigmoid, name=f"{name}_hard_sigmoid_1")(scale)
    return layers.Multiply(name=f"{name}_mul")([x, scale])


def inverted_residual(
    x: keras.KerasTensor,
    expansion: float,
    filters: int,
    kernel: int,
    stride: int,
    squeeze: bool,
    act: Callable[..., layers.Layer],
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x16 -> 56x56x16 at `expanded_conv`, the first of 11 uses."""
    in_channels = x.shape[-1]
    expanded = round_to(expansion * in_channels, 8)
    y = x
    if expansion > 1:
        y = layers.Conv2D(expanded, 1, use_bias=False, name=f"{name}_expand")(x)
        y = layers.BatchNormalization(
            momentum=0.999, epsilon=0.001, name=f"{name}_expand_bn"
        )(y)
        y = act(name=f"{name}_expand_act")(y)
    y = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.999, epsilon=0.001, name=f"{name}_depthwise_bn"
    )(y)
    y = act(name=f"{name}_depthwise_act")(y)
    if squeeze:
        y = squeeze_excite(y, round_to(expanded / 4, 8), name=f"{name}_squeeze_excite")
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(
        momentum=0.999, epsilon=0.001, name=f"{name}_project_bn"
    )(y)
    if stride == 1 and in_channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def mobilenetv3small(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNetV3Small: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    act = partial(layers.Activation, hard_swish)
    x = ScaleShift(2 / 255, -1.0, name="scale_shift_1")(image)  # 224x224x3
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.001, name="conv_bn")(x)
    x = layers.Activation(hard_swish, name="hard_swish_1")(x)  # 112x112x16
    x = inverted_residual(x, 1, 16, 3, 2, True, layers.ReLU, name="expanded_conv")
    x = inverted_residual(x, 4.5, 24, 3, 2, False, layers.ReLU, name="expanded_conv_1")
    x = inverted_residual(
        x, 11 / 3, 24, 3, 1, False, layers.ReLU, name="expanded_conv_2"
    )
    x = inverted_residual(x, 4, 40, 5, 2, True, act, name="expanded_conv_3")  # 14x14x40
    x = inverted_residual(x, 6, 40, 5, 1, True, act, name="expanded_conv_4")  # 14x14x40
    x = inverted_residual(x, 6, 40, 5, 1, True, act, name="expanded_conv_5")  # 14x14x40
    x = inverted_residual(x, 3, 48, 5, 1, True, act, name="expanded_conv_6")  # 14x14x48
    x = inverted_residual(x, 3, 48, 5, 1, True, act, name="expanded_conv_7")  # 14x14x48
    x = inverted_residual(x, 6, 96, 5, 2, True, act, name="expanded_conv_8")  # 7x7x96
    x = inverted_residual(x, 6, 96, 5, 1, True, act, name="expanded_conv_9")  # 7x7x96
    x = inverted_residual(x, 6, 96, 5, 1, True, act, name="expanded_conv_10")  # 7x7x96
    x = layers.Conv2D(576, 1, use_bias=False, name="conv_1")(x)  # 7x7x576
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.001, name="conv_1_bn")(x)
    x = layers.Activation(hard_swish, name="hard_swish_2")(x)  # 7x7x576
    x = layers.GlobalAveragePooling2D(keepdims=True, name="global_avg_pool_1")(x)
    x = layers.Conv2D(1024, 1, name="conv_2")(x)  # 1x1x1024
    x = layers.Activation(hard_swish, name="hard_swish_3")(x)  # 1x1x1024
    x = layers.Dropout(0.2, name="dropout_1")(x)  # 1x1x1024
    x = layers.Conv2D(classes, 1, name="logits")(x)  # 1x1x1000
    x = layers.Flatten(name="flatten_1")(x)  # 1000
    x = layers.Softmax(name="predictions")(x)  # 1000
    return keras.Model(image, x, name="mobilenetv3small")
