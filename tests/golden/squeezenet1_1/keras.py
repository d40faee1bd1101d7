"""SqueezeNet1_1, generated from squeezenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 1,235,496
Multiply-accumulates: 349,151,936
"""

import keras
from keras import layers


def fire(
    x: keras.KerasTensor, squeezed: int, expanded: int, *, name: str
) -> keras.KerasTensor:
    """55x55x64 -> 55x55x128 at `features.3`, the first of 8 uses."""
    hidden = layers.Conv2D(squeezed, 1, name=f"{name}_squeeze")(x)
    hidden = layers.ReLU(name=f"{name}_relu_1")(hidden)
    expand1x1 = layers.Conv2D(expanded, 1, name=f"{name}_expand1x1")(hidden)
    expand1x1 = layers.ReLU(name=f"{name}_relu_2")(expand1x1)
    expand3x3 = layers.Conv2D(
        expanded,
        3,
        padding="same",
        name=f"{name}_expand3x3",
    )(hidden)
    expand3x3 = layers.ReLU(name=f"{name}_relu_3")(expand3x3)
    return layers.Concatenate(name=f"{name}_concat_1")([expand1x1, expand3x3])


def squeezenet1_1(classes: int = 1000) -> keras.Model:
    """SqueezeNet1_1: 224x224x3 -> 1000."""
    image = keras.Input((224, 224, 3), name="image")
    x = layers.Conv2D(64, 3, strides=2, name="features_0")(image)  # 111x111x64
    x = layers.ReLU(name="features_1")(x)  # 111x111x64
    x = layers.MaxPooling2D(3, strides=2, name="features_2")(x)  # 55x55x64
    x = fire(x, 16, 64, name="features_3")  # 55x55x128
    x = fire(x, 16, 64, name="features_4")  # 55x55x128
    x = layers.MaxPooling2D(3, strides=2, name="features_5")(x)  # 27x27x128
    x = fire(x, 32, 128, name="features_6")  # 27x27x256
    x = fire(x, 32, 128, name="features_7")  # 27x27x256
    x = layers.MaxPooling2D(3, strides=2, name="features_8")(x)  # 13x13x256
    x = fire(x, 48, 192, name="features_9")  # 13x13x384
    x = fire(x, 48, 192, name="features_10")  # 13x13x384
    x = fire(x, 64, 256, name="features_11")  # 13x13x512
    x = fire(x, 64, 256, name="features_12")  # 13x13x512
    x = layers.Dropout(0.5, name="classifier_0")(x)  # 13x13x512
    x = layers.Conv2D(classes, 1, name="classifier_1")(x)  # 13x13x1000
    x = layers.ReLU(name="classifier_2")(x)  # 13x13x1000
    x = layers.GlobalAveragePooling2D(keepdims=True, name="classifier_3")(x)  # 1x1x1000
    x = layers.Flatten(name="flatten_1")(x)  # 1000
    return keras.Model(image, x, name="squeezenet1_1")
