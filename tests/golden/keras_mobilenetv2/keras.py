"""MobileNetV2, generated from mobilenet_v2.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 3,504,872
Multiply-accumulates: 300,774,272
Compiled with alpha = 1.0
"""

import keras
from keras import layers


def inverted_residual(
    x: keras.KerasTensor, filters: int, expansion: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x16 at `expanded_conv`, the first of 17 uses."""
    in_channels = x.shape[-1]
    y = x
    if expansion != 1:
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
    if in_channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def mobilenetv2(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNetV2: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(
        32,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        name="Conv1",
    )(image)
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.001, name="bn_Conv1")(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(x)  # 112x112x32
    x = inverted_residual(x, 16, 1, name="expanded_conv")  # 112x112x16
    x = inverted_residual(x, 24, 6, stride=2, name="block_1")  # 56x56x24
    x = inverted_residual(x, 24, 6, name="block_2")  # 56x56x24
    x = inverted_residual(x, 32, 6, stride=2, name="block_3")  # 28x28x32
    x = inverted_residual(x, 32, 6, name="block_4")  # 28x28x32
    x = inverted_residual(x, 32, 6, name="block_5")  # 28x28x32
    x = inverted_residual(x, 64, 6, stride=2, name="block_6")  # 14x14x64
    for i in range(7, 10):
        x = inverted_residual(x, 64, 6, name=f"block_{i}")  # 14x14x64
    for i in range(10, 13):
        x = inverted_residual(x, 96, 6, name=f"block_{i}")  # 14x14x96
    x = inverted_residual(x, 160, 6, stride=2, name="block_13")  # 7x7x160
    x = inverted_residual(x, 160, 6, name="block_14")  # 7x7x160
    x = inverted_residual(x, 160, 6, name="block_15")  # 7x7x160
    x = inverted_residual(x, 320, 6, name="block_16")  # 7x7x320
    x = layers.Conv2D(1280, 1, use_bias=False, name="Conv_1")(x)  # 7x7x1280
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.001, name="Conv_1_bn")(x)
    x = layers.ReLU(6.0, name="out_relu")(x)  # 7x7x1280
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1280
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="mobilenetv2")
