"""Tanh_ConvNet, generated from tanh_convnet.cnn by cnnspec 0.1.0.

Input: image 16x16x1 (height x width x channels)
Output: output 10
Parameters: 2,326
Multiply-accumulates: 23,760
"""

import keras
from keras import layers


def tanh_convnet(
    classes: int = 10, *, input_size: tuple[int, int] = (16, 16)
) -> keras.Model:
    """Tanh_ConvNet: 16x16x1 -> 10."""
    image = keras.Input((*input_size, 1), name="image")
    x = layers.Conv2D(6, 5, name="conv_1")(image)  # 12x12x6
    x = layers.AveragePooling2D(2, name="avg_pool_1")(x)  # 6x6x6
    x = layers.Permute((3, 1, 2), name="reshape_1_permute")(x)
    x = layers.Reshape((-1,), name="reshape_1")(x)  # 216
    x = layers.Activation("tanh", name="tanh_1")(x)  # 216
    x = layers.Dense(classes, name="dense_1")(x)  # 10
    x = layers.Activation("log_softmax", name="log_softmax_1")(x)  # 10
    return keras.Model(image, x, name="tanh_convnet")
