"""AlexNet, generated from alexnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 61,100,840
Multiply-accumulates: 714,188,480
"""

import keras
from keras import layers


def alexnet(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """AlexNet: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(2, name="features_0_pad")(image)
    x = layers.Conv2D(64, 11, strides=4, name="features_0")(x)  # 55x55x64
    x = layers.ReLU(name="features_1")(x)  # 55x55x64
    x = layers.MaxPooling2D(3, strides=2, name="features_2")(x)  # 27x27x64
    x = layers.Conv2D(192, 5, padding="same", name="features_3")(x)  # 27x27x192
    x = layers.ReLU(name="features_4")(x)  # 27x27x192
    x = layers.MaxPooling2D(3, strides=2, name="features_5")(x)  # 13x13x192
    x = layers.Conv2D(384, 3, padding="same", name="features_6")(x)  # 13x13x384
    x = layers.ReLU(name="features_7")(x)  # 13x13x384
    x = layers.Conv2D(256, 3, padding="same", name="features_8")(x)  # 13x13x256
    x = layers.ReLU(name="features_9")(x)  # 13x13x256
    x = layers.Conv2D(256, 3, padding="same", name="features_10")(x)  # 13x13x256
    x = layers.ReLU(name="features_11")(x)  # 13x13x256
    x = layers.MaxPooling2D(3, strides=2, name="features_12")(x)  # 6x6x256
    x = layers.AdaptiveAveragePooling2D(6, name="avgpool")(x)  # 6x6x256
    x = layers.Permute((3, 1, 2), name="flatten_1_permute")(x)
    x = layers.Flatten(name="flatten_1")(x)  # 9216
    x = layers.Dropout(0.5, name="classifier_0")(x)  # 9216
    x = layers.Dense(4096, name="classifier_1")(x)  # 4096
    x = layers.ReLU(name="classifier_2")(x)  # 4096
    x = layers.Dropout(0.5, name="classifier_3")(x)  # 4096
    x = layers.Dense(4096, name="classifier_4")(x)  # 4096
    x = layers.ReLU(name="classifier_5")(x)  # 4096
    x = layers.Dense(classes, name="classifier_6")(x)  # 1000
    return keras.Model(image, x, name="alexnet")
