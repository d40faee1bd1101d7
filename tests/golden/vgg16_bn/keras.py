"""VGG16_BN, generated from vgg.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 138,365,992
Multiply-accumulates: 15,470,264,320
"""

import keras
from keras import layers


def vgg16_bn(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """VGG16_BN: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(64, 3, padding="same", name="features_0")(image)  # 224x224x64
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_1")(x)
    x = layers.ReLU(name="features_2")(x)  # 224x224x64
    x = layers.Conv2D(64, 3, padding="same", name="features_3")(x)  # 224x224x64
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_4")(x)
    x = layers.ReLU(name="features_5")(x)  # 224x224x64
    x = layers.MaxPooling2D(2, name="features_6")(x)  # 112x112x64
    x = layers.Conv2D(128, 3, padding="same", name="features_7")(x)  # 112x112x128
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_8")(x)
    x = layers.ReLU(name="features_9")(x)  # 112x112x128
    x = layers.Conv2D(128, 3, padding="same", name="features_10")(x)  # 112x112x128
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_11")(x)
    x = layers.ReLU(name="features_12")(x)  # 112x112x128
    x = layers.MaxPooling2D(2, name="features_13")(x)  # 56x56x128
    x = layers.Conv2D(256, 3, padding="same", name="features_14")(x)  # 56x56x256
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_15")(x)
    x = layers.ReLU(name="features_16")(x)  # 56x56x256
    x = layers.Conv2D(256, 3, padding="same", name="features_17")(x)  # 56x56x256
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_18")(x)
    x = layers.ReLU(name="features_19")(x)  # 56x56x256
    x = layers.Conv2D(256, 3, padding="same", name="features_20")(x)  # 56x56x256
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_21")(x)
    x = layers.ReLU(name="features_22")(x)  # 56x56x256
    x = layers.MaxPooling2D(2, name="features_23")(x)  # 28x28x256
    x = layers.Conv2D(512, 3, padding="same", name="features_24")(x)  # 28x28x512
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_25")(x)
    x = layers.ReLU(name="features_26")(x)  # 28x28x512
    x = layers.Conv2D(512, 3, padding="same", name="features_27")(x)  # 28x28x512
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_28")(x)
    x = layers.ReLU(name="features_29")(x)  # 28x28x512
    x = layers.Conv2D(512, 3, padding="same", name="features_30")(x)  # 28x28x512
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_31")(x)
    x = layers.ReLU(name="features_32")(x)  # 28x28x512
    x = layers.MaxPooling2D(2, name="features_33")(x)  # 14x14x512
    x = layers.Conv2D(512, 3, padding="same", name="features_34")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_35")(x)
    x = layers.ReLU(name="features_36")(x)  # 14x14x512
    x = layers.Conv2D(512, 3, padding="same", name="features_37")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_38")(x)
    x = layers.ReLU(name="features_39")(x)  # 14x14x512
    x = layers.Conv2D(512, 3, padding="same", name="features_40")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_41")(x)
    x = layers.ReLU(name="features_42")(x)  # 14x14x512
    x = layers.MaxPooling2D(2, name="features_43")(x)  # 7x7x512
    x = layers.AdaptiveAveragePooling2D(7, name="avgpool")(x)  # 7x7x512
    x = layers.Permute((3, 1, 2), name="flatten_1_permute")(x)
    x = layers.Flatten(name="flatten_1")(x)  # 25088
    x = layers.Dense(4096, name="classifier_0")(x)  # 4096
    x = layers.ReLU(name="classifier_1")(x)  # 4096
    x = layers.Dropout(0.5, name="classifier_2")(x)  # 4096
    x = layers.Dense(4096, name="classifier_3")(x)  # 4096
    x = layers.ReLU(name="classifier_4")(x)  # 4096
    x = layers.Dropout(0.5, name="classifier_5")(x)  # 4096
    x = layers.Dense(classes, name="classifier_6")(x)  # 1000
    return keras.Model(image, x, name="vgg16_bn")
