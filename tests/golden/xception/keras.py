"""Xception, generated from xception.cnn by cnnspec 0.1.0.

Input: image 299x299x3 (height x width x channels)
Output: output 1000
Parameters: 22,855,952
Multiply-accumulates: 8,357,403,496
"""

import keras
from keras import layers


def reduction(
    x: keras.KerasTensor,
    width: int,
    sepconv_channels: int,
    relu_first: bool = False,
    *,
    name: str,
) -> keras.KerasTensor:
    """147x147x64 -> 74x74x128 at `block2`, the first of 4 uses."""
    shortcut = layers.Conv2D(
        width, 1, strides=2, use_bias=False, name=f"{name}_shortcut"
    )(x)
    shortcut = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_shortcut_bn"
    )(shortcut)
    if relu_first:
        x = layers.ReLU(name=f"{name}_sepconv1_act")(x)
    y = layers.SeparableConv2D(
        sepconv_channels, 3, padding="same", use_bias=False, name=f"{name}_sepconv1"
    )(x)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_sepconv1_bn"
    )(y)
    y = layers.ReLU(name=f"{name}_sepconv2_act")(y)
    y = layers.SeparableConv2D(
        width, 3, padding="same", use_bias=False, name=f"{name}_sepconv2"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_sepconv2_bn"
    )(y)
    pool = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(y)
    return layers.Add(name=f"{name}_add_1")([pool, shortcut])


def middle(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """19x19x728 -> 19x19x728 at `block5`, the first of 8 uses."""
    y = layers.ReLU(name=f"{name}_sepconv1_act")(x)  # 19x19x728
    y = layers.SeparableConv2D(
        728, 3, padding="same", use_bias=False, name=f"{name}_sepconv1"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_sepconv1_bn"
    )(y)
    y = layers.ReLU(name=f"{name}_sepconv2_act")(y)  # 19x19x728
    y = layers.SeparableConv2D(
        728, 3, padding="same", use_bias=False, name=f"{name}_sepconv2"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_sepconv2_bn"
    )(y)
    y = layers.ReLU(name=f"{name}_sepconv3_act")(y)  # 19x19x728
    y = layers.SeparableConv2D(
        728, 3, padding="same", use_bias=False, name=f"{name}_sepconv3"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name=f"{name}_sepconv3_bn"
    )(y)
    return layers.Add(name=f"{name}_add_1")([y, x])  # 19x19x728


def xception(
    classes: int = 1000, *, input_size: tuple[int, int] = (299, 299)
) -> keras.Model:
    """Xception: 299x299x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="block1_conv1")(image)
    x = layers.BatchNormalization(
        momentum=0.99,
        epsilon=0.001,
        name="block1_conv1_bn",
    )(x)
    x = layers.ReLU(name="block1_conv1_act")(x)  # 149x149x32
    x = layers.Conv2D(64, 3, use_bias=False, name="block1_conv2")(x)  # 147x147x64
    x = layers.BatchNormalization(
        momentum=0.99,
        epsilon=0.001,
        name="block1_conv2_bn",
    )(x)
    x = layers.ReLU(name="block1_conv2_act")(x)  # 147x147x64
    x = reduction(x, 128, 128, name="block2")  # 74x74x128
    x = reduction(x, 256, 256, relu_first=True, name="block3")  # 37x37x256
    x = reduction(x, 728, 728, relu_first=True, name="block4")  # 19x19x728
    for i in range(8):
        x = middle(x, name=f"block{i + 5}")  # 19x19x728
    x = reduction(x, 1024, 728, relu_first=True, name="block13")  # 10x10x1024
    x = layers.SeparableConv2D(
        1536, 3, padding="same", use_bias=False, name="block14_sepconv1"
    )(x)
    x = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name="block14_sepconv1_bn"
    )(x)
    x = layers.ReLU(name="block14_sepconv1_act")(x)  # 10x10x1536
    x = layers.SeparableConv2D(
        2048, 3, padding="same", use_bias=False, name="block14_sepconv2"
    )(x)
    x = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, name="block14_sepconv2_bn"
    )(x)
    x = layers.ReLU(name="block14_sepconv2_act")(x)  # 10x10x2048
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 2048
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="xception")
