"""LeNet5, generated from lenet.cnn by cnnspec 0.1.0.

Input: image 28x28x1 (height x width x channels)
Output: output 10
Parameters: 61,706
Multiply-accumulates: 416,520
"""

import keras
from keras import layers


def lenet5(classes: int = 10, *, input_size: tuple[int, int] = (28, 28)) -> keras.Model:
    """LeNet5: 28x28x1 -> 10."""
    image = keras.Input((*input_size, 1), name="image")
    x = layers.Conv2D(6, 5, padding="same", name="c1")(image)  # 28x28x6
    x = layers.Activation("sigmoid", name="sigmoid_1")(x)  # 28x28x6
    x = layers.AveragePooling2D(2, name="s2")(x)  # 14x14x6
    x = layers.Conv2D(16, 5, name="c3")(x)  # 10x10x16
    x = layers.Activation("sigmoid", name="sigmoid_2")(x)  # 10x10x16
    x = layers.AveragePooling2D(2, name="s4")(x)  # 5x5x16
    x = layers.Permute((3, 1, 2), name="flatten_1_permute")(x)
    x = layers.Flatten(name="flatten_1")(x)  # 400
    x = layers.Dense(120, name="c5")(x)  # 120
    x = layers.Activation("sigmoid", name="sigmoid_3")(x)  # 120
    x = layers.Dense(84, name="f6")(x)  # 84
    x = layers.Activation("sigmoid", name="sigmoid_4")(x)  # 84
    x = layers.Dense(classes, name="scores")(x)  # 10
    return keras.Model(image, x, name="lenet5")
