"""MobileNet_V3_Small, generated from mobilenet_v3.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 2,542,856
Multiply-accumulates: 56,510,400
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
def hard_sigmoid(x: keras.KerasTensor) -> keras.KerasTensor:
    """Sigmoid of three straight pieces, with derivative zero at both kinks."""
    return ops.where(x <= -3, 0.0, ops.where(x >= 3, 1.0, (x + 3) / 6))


@keras.saving.register_keras_serializable(package="cnnspec")
def hard_swish(x: keras.KerasTensor) -> keras.KerasTensor:
    """Swish with a sigmoid of three straight pieces."""
    return x * ops.where(x <= -3, 0.0, ops.where(x >= 3, 1.0, (x + 3) / 6))


def squeeze_excitation(
    x: keras.KerasTensor,
    squeezed: int,
    act: Callable[..., layers.Layer] = layers.ReLU,
    gate: Callable[..., layers.Layer] | None = None,
    *,
    name: str,
) -> keras.KerasTensor:
    """56x56x16 -> 56x56x16 at `features.1.block.1`, the first of 9 uses."""
    if gate is None:
        gate = partial(layers.Activation, "sigmoid")
    in_channels = x.shape[-1]
    scale = layers.GlobalAveragePooling2D(
        keepdims=True, name=f"{name}_global_avg_pool_1"
    )(x)
    scale = layers.Conv2D(squeezed, 1, name=f"{name}_fc1")(scale)
    scale = act(name=f"{name}_act_1")(scale)
    scale = layers.Conv2D(in_channels, 1, name=f"{name}_fc2")(scale)
    scale = gate(name=f"{name}_gate_1")(scale)
    return layers.Multiply(name=f"{name}_multiply_1")([scale, x])


def inverted_residual(
    x: keras.KerasTensor,
    kernel: int,
    expanded: int,
    filters: int,
    squeeze: bool,
    act: Callable[..., layers.Layer],
    stride: int,
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x16 -> 56x56x16 at `features.1`, the first of 11 uses."""
    in_channels = x.shape[-1]
    shift = int(expanded != in_channels)
    shift_2 = int(squeeze)
    residual = stride == 1 and in_channels == filters
    y = x
    if expanded != in_channels:
        y = layers.Conv2D(expanded, 1, use_bias=False, name=f"{name}_block_0_0")(x)
        y = layers.BatchNormalization(
            momentum=0.99, epsilon=0.001, name=f"{name}_block_0_1"
        )(y)
        y = act(name=f"{name}_block_0_2")(y)
    y = layers.ZeroPadding2D(kernel // 2, name=f"{name}_block_{shift}_0_pad")(y)
    y = layers.DepthwiseConv2D(
        kernel, strides=stride, use_bias=False, name=f"{name}_block_{shift}_0"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_block_{shift}_1"
    )(y)
    y = act(name=f"{name}_block_{shift}_2")(y)
    if squeeze:
        y = squeeze_excitation(
            y,
            round_to(expanded // 4, 8),
            gate=partial(layers.Activation, hard_sigmoid),
            name=f"{name}_block_{shift + 1}",
        )
    y = layers.Conv2D(
        filters, 1, use_bias=False, name=f"{name}_block_{shift + shift_2 + 1}_0"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_block_{shift + shift_2 + 1}_1"
    )(y)
    if residual:
        y = layers.Add(name=f"{name}_add_1")([y, x])
    return y


def mobilenet_v3_small(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNet_V3_Small: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    act = partial(layers.Activation, hard_swish)
    x = layers.ZeroPadding2D(1, name="features_0_0_pad")(image)
    x = layers.Conv2D(16, 3, strides=2, use_bias=False, name="features_0_0")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="features_0_1")(x)
    x = layers.Activation(hard_swish, name="features_0_2")(x)  # 112x112x16
    x = inverted_residual(x, 3, 16, 16, True, layers.ReLU, 2, name="features_1")
    x = inverted_residual(x, 3, 72, 24, False, layers.ReLU, 2, name="features_2")
    x = inverted_residual(x, 3, 88, 24, False, layers.ReLU, 1, name="features_3")
    x = inverted_residual(x, 5, 96, 40, True, act, 2, name="features_4")  # 14x14x40
    x = inverted_residual(x, 5, 240, 40, True, act, 1, name="features_5")  # 14x14x40
    x = inverted_residual(x, 5, 240, 40, True, act, 1, name="features_6")  # 14x14x40
    x = inverted_residual(x, 5, 120, 48, True, act, 1, name="features_7")  # 14x14x48
    x = inverted_residual(x, 5, 144, 48, True, act, 1, name="features_8")  # 14x14x48
    x = inverted_residual(x, 5, 288, 96, True, act, 2, name="features_9")  # 7x7x96
    x = inverted_residual(x, 5, 576, 96, True, act, 1, name="features_10")  # 7x7x96
    x = inverted_residual(x, 5, 576, 96, True, act, 1, name="features_11")  # 7x7x96
    x = layers.Conv2D(576, 1, use_bias=False, name="features_12_0")(x)  # 7x7x576
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="features_12_1")(x)
    x = layers.Activation(hard_swish, name="features_12_2")(x)  # 7x7x576
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 576
    x = layers.Dense(1024, name="classifier_0")(x)  # 1024
    x = layers.Activation(hard_swish, name="classifier_1")(x)  # 1024
    x = layers.Dropout(0.2, name="classifier_2")(x)  # 1024
    x = layers.Dense(classes, name="classifier_3")(x)  # 1000
    return keras.Model(image, x, name="mobilenet_v3_small")
