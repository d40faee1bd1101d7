"""EfficientNet_B0, generated from efficientnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 5,288,548
Multiply-accumulates: 385,814,752
"""

from collections.abc import Callable
from functools import partial

import keras
from keras import layers


def round_to(
    value: float, multiple: int, least: int | None = None, limit: float = 0.9
) -> int:
    """Give the multiple nearest to a value, never below ``limit`` times it."""
    least = multiple if least is None else least
    rounded = max(least, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded


def squeeze_excitation(
    x: keras.KerasTensor,
    squeezed: int,
    act: Callable[..., layers.Layer] = layers.ReLU,
    gate: Callable[..., layers.Layer] | None = None,
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x32 at `features.1.0.block.1`, the first of 16 uses."""
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


def mb_conv(
    x: keras.KerasTensor,
    expansion: int,
    kernel: int,
    filters: int,
    norm: Callable[..., layers.Layer],
    rate: float,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """Figure 2 of the second paper, left.

    112x112x32 -> 112x112x16 at `features.1.0`, the first of 16 uses.
    """
    in_channels = x.shape[-1]
    shift = int(expansion > 1)
    residual = stride == 1 and in_channels == filters
    y = x
    if expansion > 1:
        y = layers.Conv2D(
            round_to(expansion * in_channels, 8),
            1,
            use_bias=False,
            name=f"{name}_block_0_0",
        )(x)
        y = norm(name=f"{name}_block_0_1")(y)
        y = layers.Activation("silu", name=f"{name}_block_0_2")(y)
    y = layers.ZeroPadding2D(kernel // 2, name=f"{name}_block_{shift}_0_pad")(y)
    y = layers.DepthwiseConv2D(
        kernel, strides=stride, use_bias=False, name=f"{name}_block_{shift}_0"
    )(y)
    y = norm(name=f"{name}_block_{shift}_1")(y)
    y = layers.Activation("silu", name=f"{name}_block_{shift}_2")(y)
    y = squeeze_excitation(
        y,
        in_channels // 4,
        act=partial(layers.Activation, "silu"),
        name=f"{name}_block_{shift + 1}",
    )
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_block_{shift + 2}_0")(y)
    y = norm(name=f"{name}_block_{shift + 2}_1")(y)
    if residual:
        y = layers.Dropout(
            rate, noise_shape=(None, 1, 1, 1), name=f"{name}_stochastic_depth_1"
        )(y)
        y = layers.Add(name=f"{name}_add_1")([y, x])
    return y


def efficientnet_b0(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """EfficientNet_B0: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    norm = partial(layers.BatchNormalization, momentum=0.9, epsilon=1e-5)
    x = layers.ZeroPadding2D(1, name="features_0_0_pad")(image)
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="features_0_0")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_0_1")(x)
    x = layers.Activation("silu", name="features_0_2")(x)  # 112x112x32
    x = mb_conv(x, 1, 3, 16, norm, 0.0, name="features_1_0")  # 112x112x16
    x = mb_conv(x, 6, 3, 24, norm, 0.0125, stride=2, name="features_2_0")  # 56x56x24
    x = mb_conv(x, 6, 3, 24, norm, 0.025, name="features_2_1")  # 56x56x24
    x = mb_conv(x, 6, 5, 40, norm, 0.1 * 3 / 8, stride=2, name="features_3_0")
    x = mb_conv(x, 6, 5, 40, norm, 0.05, name="features_3_1")  # 28x28x40
    x = mb_conv(x, 6, 3, 80, norm, 0.0625, stride=2, name="features_4_0")  # 14x14x80
    x = mb_conv(x, 6, 3, 80, norm, 0.1 * 3 / 4, name="features_4_1")  # 14x14x80
    x = mb_conv(x, 6, 3, 80, norm, 0.1 * 7 / 8, name="features_4_2")  # 14x14x80
    x = mb_conv(x, 6, 5, 112, norm, 0.1, name="features_5_0")  # 14x14x112
    x = mb_conv(x, 6, 5, 112, norm, 0.1125, name="features_5_1")  # 14x14x112
    x = mb_conv(x, 6, 5, 112, norm, 0.125, name="features_5_2")  # 14x14x112
    x = mb_conv(x, 6, 5, 192, norm, 0.1375, stride=2, name="features_6_0")  # 7x7x192
    x = mb_conv(x, 6, 5, 192, norm, 0.1 * 3 / 2, name="features_6_1")  # 7x7x192
    x = mb_conv(x, 6, 5, 192, norm, 0.1625, name="features_6_2")  # 7x7x192
    x = mb_conv(x, 6, 5, 192, norm, 0.1 * 7 / 4, name="features_6_3")  # 7x7x192
    x = mb_conv(x, 6, 3, 320, norm, 0.1875, name="features_7_0")  # 7x7x320
    x = layers.Conv2D(1280, 1, use_bias=False, name="features_8_0")(x)  # 7x7x1280
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_8_1")(x)
    x = layers.Activation("silu", name="features_8_2")(x)  # 7x7x1280
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1280
    x = layers.Dropout(0.2, name="classifier_0")(x)  # 1280
    x = layers.Dense(classes, name="classifier_1")(x)  # 1000
    return keras.Model(image, x, name="efficientnet_b0")
