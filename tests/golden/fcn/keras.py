"""FCN, generated from fcn.cnn by cnnspec 0.1.0.

Input: image 96x96x3 (height x width x channels)
Output: mask 96x96x21
Parameters: 378,878
Multiply-accumulates: 58,029,264
"""

import keras
from keras import layers


def fcn(classes: int = 21, *, input_size: tuple[int, int] = (96, 96)) -> keras.Model:
    """FCN: 96x96x3 -> 96x96x21."""
    image = keras.Input((*input_size, 3), name="image")
    pool3 = layers.Conv2D(16, 3, padding="same", name="conv1")(image)  # 96x96x16
    pool3 = layers.ReLU(name="relu_1")(pool3)  # 96x96x16
    pool3 = layers.MaxPooling2D(2, name="max_pool_1")(pool3)  # 48x48x16
    pool3 = layers.Conv2D(32, 3, padding="same", name="conv2")(pool3)  # 48x48x32
    pool3 = layers.ReLU(name="relu_2")(pool3)  # 48x48x32
    pool3 = layers.MaxPooling2D(2, name="max_pool_2")(pool3)  # 24x24x32
    pool3 = layers.Conv2D(64, 3, padding="same", name="conv3")(pool3)  # 24x24x64
    pool3 = layers.ReLU(name="relu_3")(pool3)  # 24x24x64
    pool3 = layers.MaxPooling2D(2, name="max_pool_3")(pool3)  # 12x12x64
    pool4 = layers.Conv2D(128, 3, padding="same", name="conv4")(pool3)  # 12x12x128
    pool4 = layers.ReLU(name="relu_4")(pool4)  # 12x12x128
    pool4 = layers.MaxPooling2D(2, name="max_pool_4")(pool4)  # 6x6x128
    pool5 = layers.Conv2D(128, 3, padding="same", name="conv5")(pool4)  # 6x6x128
    pool5 = layers.ReLU(name="relu_5")(pool5)  # 6x6x128
    pool5 = layers.MaxPooling2D(2, name="max_pool_5")(pool5)  # 3x3x128
    coarse = layers.Conv2D(classes, 1, name="score5")(pool5)  # 3x3x21
    coarse = layers.Conv2DTranspose(
        classes,
        4,
        strides=2,
        padding="same",
        name="up5",
    )(coarse)
    score4 = layers.Conv2D(classes, 1, name="score4")(pool4)  # 6x6x21
    middle = layers.Add(name="add_1")([coarse, score4])  # 6x6x21
    middle = layers.Conv2DTranspose(
        classes,
        4,
        strides=2,
        padding="same",
        name="up4",
    )(middle)
    score3 = layers.Conv2D(classes, 1, name="score3")(pool3)  # 12x12x21
    fine = layers.Add(name="add_2")([middle, score3])  # 12x12x21
    mask = layers.Conv2DTranspose(
        classes,
        16,
        strides=8,
        padding="same",
        name="up3",
    )(fine)
    return keras.Model(image, mask, name="fcn")
