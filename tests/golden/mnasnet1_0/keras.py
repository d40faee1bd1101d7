"""MNASNet1_0, generated from mnasnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 4,383,312
Multiply-accumulates: 314,415,872
"""

import keras
from keras import layers


def inverted_residual(
    x: keras.KerasTensor,
    kernel: int,
    expansion: int,
    filters: int,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x16 -> 56x56x24 at `layers.8.0`, the first of 16 uses."""
    in_channels = x.shape[-1]
    residual = in_channels == filters
    y = layers.Conv2D(
        expansion * in_channels, 1, use_bias=False, name=f"{name}_layers_0"
    )(x)
    y = layers.BatchNormalization(
        momentum=0.9997, epsilon=1e-5, name=f"{name}_layers_1"
    )(y)
    y = layers.ReLU(name=f"{name}_layers_2")(y)
    y = layers.ZeroPadding2D(kernel // 2, name=f"{name}_layers_3_pad")(y)
    y = layers.DepthwiseConv2D(
        kernel, strides=stride, use_bias=False, name=f"{name}_layers_3"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.9997, epsilon=1e-5, name=f"{name}_layers_4"
    )(y)
    y = layers.ReLU(name=f"{name}_layers_5")(y)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_layers_6")(y)
    y = layers.BatchNormalization(
        momentum=0.9997, epsilon=1e-5, name=f"{name}_layers_7"
    )(y)
    if residual:
        y = layers.Add(name=f"{name}_add_1")([y, x])
    return y


def mnasnet1_0(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MNASNet1_0: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(1, name="layers_0_pad")(image)
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="layers_0")(x)
    x = layers.BatchNormalization(momentum=0.9997, epsilon=1e-5, name="layers_1")(x)
    x = layers.ReLU(name="layers_2")(x)  # 112x112x32
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="layers_3")(x)
    x = layers.BatchNormalization(momentum=0.9997, epsilon=1e-5, name="layers_4")(x)
    x = layers.ReLU(name="layers_5")(x)  # 112x112x32
    x = layers.Conv2D(16, 1, use_bias=False, name="layers_6")(x)  # 112x112x16
    x = layers.BatchNormalization(momentum=0.9997, epsilon=1e-5, name="layers_7")(x)
    x = inverted_residual(x, 3, 3, 24, stride=2, name="layers_8_0")  # 56x56x24
    x = inverted_residual(x, 3, 3, 24, name="layers_8_1")  # 56x56x24
    x = inverted_residual(x, 3, 3, 24, name="layers_8_2")  # 56x56x24
    x = inverted_residual(x, 5, 3, 40, stride=2, name="layers_9_0")  # 28x28x40
    x = inverted_residual(x, 5, 3, 40, name="layers_9_1")  # 28x28x40
    x = inverted_residual(x, 5, 3, 40, name="layers_9_2")  # 28x28x40
    x = inverted_residual(x, 5, 6, 80, stride=2, name="layers_10_0")  # 14x14x80
    x = inverted_residual(x, 5, 6, 80, name="layers_10_1")  # 14x14x80
    x = inverted_residual(x, 5, 6, 80, name="layers_10_2")  # 14x14x80
    x = inverted_residual(x, 3, 6, 96, name="layers_11_0")  # 14x14x96
    x = inverted_residual(x, 3, 6, 96, name="layers_11_1")  # 14x14x96
    x = inverted_residual(x, 5, 6, 192, stride=2, name="layers_12_0")  # 7x7x192
    for i in range(1, 4):
        x = inverted_residual(x, 5, 6, 192, name=f"layers_12_{i}")  # 7x7x192
    x = inverted_residual(x, 3, 6, 320, name="layers_13_0")  # 7x7x320
    x = layers.Conv2D(1280, 1, use_bias=False, name="layers_14")(x)  # 7x7x1280
    x = layers.BatchNormalization(momentum=0.9997, epsilon=1e-5, name="layers_15")(x)
    x = layers.ReLU(name="layers_16")(x)  # 7x7x1280
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1280
    x = layers.Dropout(0.2, name="classifier_0")(x)  # 1280
    x = layers.Dense(classes, name="classifier_1")(x)  # 1000
    return keras.Model(image, x, name="mnasnet1_0")
