"""MobileNetV2, generated from mobilenet_v2.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 3,504,872
Multiply-accumulates: 300,774,272
"""

import math

import keras
from keras import layers


def round_to(
    value: float, multiple: int, least: int | None = None, limit: float = 0.9
) -> int:
    """Give the multiple nearest to a value, never below ``limit`` times it."""
    least = multiple if least is None else least
    rounded = max(least, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded


def inverted_residual(
    x: keras.KerasTensor,
    filters: int,
    expansion: int = 6,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x16 at `expanded_conv`, the first of 17 uses."""
    in_channels = x.shape[-1]
    y = x
    if expansion > 1:
        y = layers.Conv2D(
            expansion * in_channels, 1, use_bias=False, name=f"{name}_expand"
        )(x)
        y = layers.BatchNormalization(
            momentum=0.999, epsilon=0.001, name=f"{name}_expand_BN"
        )(y)
        y = layers.ReLU(6.0, name=f"{name}_expand_relu")(y)
    y = layers.DepthwiseConv2D(
        3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.999, epsilon=0.001, name=f"{name}_depthwise_BN"
    )(y)
    y = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(y)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(
        momentum=0.999, epsilon=0.001, name=f"{name}_project_BN"
    )(y)
    if stride == 1 and in_channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def mobilenetv2(
    classes: int = 1000, alpha: float = 1.0, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNetV2: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(
        round_to(32 * alpha, 8),
        3,
        strides=2,
        padding="same",
        use_bias=False,
        name="Conv1",
    )(image)
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.001, name="bn_Conv1")(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(x)  # 112x112x32
    x = inverted_residual(
        x, round_to(math.floor(16 * alpha), 8), expansion=1, name="expanded_conv"
    )
    before = 1
    for width, depth, stride in [
        (24, 2, 2),
        (32, 3, 2),
        (64, 4, 2),
        (96, 3, 1),
        (160, 3, 2),
        (320, 1, 1),
    ]:
        for j in range(depth):
            x = inverted_residual(
                x,
                round_to(math.floor(width * alpha), 8),
                stride=stride if j == 0 else 1,
                name=f"block_{before + j}",
            )
        before += depth
    x = layers.Conv2D(1280, 1, use_bias=False, name="Conv_1")(x)  # 7x7x1280
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.001, name="Conv_1_bn")(x)
    x = layers.ReLU(6.0, name="out_relu")(x)  # 7x7x1280
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1280
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="mobilenetv2")
