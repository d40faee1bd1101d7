"""ResNet18, generated from resnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 11,689,512
Multiply-accumulates: 1,814,073,344
"""

import keras
from keras import layers


def basic_block(
    x: keras.KerasTensor, width: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """56x56x64 -> 56x56x64 at `layer1.0`, the first of 8 uses."""
    y = layers.ZeroPadding2D(1, name=f"{name}_conv1_pad")(x)
    y = layers.Conv2D(width, 3, strides=stride, use_bias=False, name=f"{name}_conv1")(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn1")(y)
    y = layers.ReLU(name=f"{name}_relu_1")(y)
    y = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv2")(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn2")(y)
    if stride != 1:
        x = layers.Conv2D(
            width, 1, strides=stride, use_bias=False, name=f"{name}_downsample_0"
        )(x)
        x = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}_downsample_1"
        )(x)
    x = layers.Add(name=f"{name}_add_1")([x, y])
    return layers.ReLU(name=f"{name}_relu_2")(x)


def resnet18(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ResNet18: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1")(x)  # 112x112x64
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn1")(x)
    x = layers.ReLU(name="relu_1")(x)  # 112x112x64
    x = layers.ZeroPadding2D(1, name="max_pool_1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="max_pool_1")(x)  # 56x56x64
    x = basic_block(x, 64, name="layer1_0")  # 56x56x64
    x = basic_block(x, 64, name="layer1_1")  # 56x56x64
    x = basic_block(x, 128, stride=2, name="layer2_0")  # 28x28x128
    x = basic_block(x, 128, name="layer2_1")  # 28x28x128
    x = basic_block(x, 256, stride=2, name="layer3_0")  # 14x14x256
    x = basic_block(x, 256, name="layer3_1")  # 14x14x256
    x = basic_block(x, 512, stride=2, name="layer4_0")  # 7x7x512
    x = basic_block(x, 512, name="layer4_1")  # 7x7x512
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 512
    x = layers.Dense(classes, name="fc")(x)  # 1000
    return keras.Model(image, x, name="resnet18")
