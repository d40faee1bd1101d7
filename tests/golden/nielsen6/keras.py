"""Nielsen6, generated from nielsen6.cnn by cnnspec 0.1.0.

Input: image 28x28x1 (height x width x channels)
Output: output 10
Parameters: 1,672,570
Multiply-accumulates: 3,218,000
"""

import keras
from keras import layers


def nielsen6(
    classes: int = 10, *, input_size: tuple[int, int] = (28, 28)
) -> keras.Model:
    """Nielsen6: 28x28x1 -> 10."""
    image = keras.Input((*input_size, 1), name="image")
    x = layers.Conv2D(20, 5, name="conv_1")(image)  # 24x24x20
    x = layers.ReLU(name="relu_1")(x)  # 24x24x20
    x = layers.MaxPooling2D(2, name="max_pool_1")(x)  # 12x12x20
    x = layers.Conv2D(40, 5, name="conv_2")(x)  # 8x8x40
    x = layers.ReLU(name="relu_2")(x)  # 8x8x40
    x = layers.MaxPooling2D(2, name="max_pool_2")(x)  # 4x4x40
    x = layers.Permute((3, 1, 2), name="flatten_1_permute")(x)
    x = layers.Flatten(name="flatten_1")(x)  # 640
    x = layers.Dropout(0.5, name="dropout_1")(x)  # 640
    x = layers.Dense(1000, name="dense_1")(x)  # 1000
    x = layers.ReLU(name="relu_3")(x)  # 1000
    x = layers.Dropout(0.5, name="dropout_2")(x)  # 1000
    x = layers.Dense(1000, name="dense_2")(x)  # 1000
    x = layers.ReLU(name="relu_4")(x)  # 1000
    x = layers.Dropout(0.5, name="dropout_3")(x)  # 1000
    x = layers.Dense(classes, name="dense_3")(x)  # 10
    x = layers.Softmax(name="softmax_1")(x)  # 10
    return keras.Model(image, x, name="nielsen6")
