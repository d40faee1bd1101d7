"""ResNet50, generated from resnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 25,557,032
Multiply-accumulates: 4,089,184,256
"""

import keras
from keras import layers


def bottleneck(
    x: keras.KerasTensor, width: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """56x56x64 -> 56x56x256 at `layer1.0`, the first of 16 uses."""
    in_channels = x.shape[-1]
    expanded = width * 4
    y = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_conv1")(x)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn1")(y)
    y = layers.ReLU(name=f"{name}_relu_1")(y)
    y = layers.ZeroPadding2D(1, name=f"{name}_conv2_pad")(y)
    y = layers.Conv2D(width, 3, strides=stride, use_bias=False, name=f"{name}_conv2")(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn2")(y)
    y = layers.ReLU(name=f"{name}_relu_2")(y)
    y = layers.Conv2D(expanded, 1, use_bias=False, name=f"{name}_conv3")(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn3")(y)
    if in_channels != expanded:
        x = layers.Conv2D(
            expanded, 1, strides=stride, use_bias=False, name=f"{name}_downsample_0"
        )(x)
        x = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}_downsample_1"
        )(x)
    x = layers.Add(name=f"{name}_add_1")([x, y])
    return layers.ReLU(name=f"{name}_relu_3")(x)


def resnet50(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ResNet50: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1")(x)  # 112x112x64
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn1")(x)
    x = layers.ReLU(name="relu_1")(x)  # 112x112x64
    x = layers.ZeroPadding2D(1, name="max_pool_1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="max_pool_1")(x)  # 56x56x64
    for i in range(3):
        x = bottleneck(x, 64, name=f"layer1_{i}")  # 56x56x256
    x = bottleneck(x, 128, stride=2, name="layer2_0")  # 28x28x512
    for i in range(1, 4):
        x = bottleneck(x, 128, name=f"layer2_{i}")  # 28x28x512
    x = bottleneck(x, 256, stride=2, name="layer3_0")  # 14x14x1024
    for i in range(1, 6):
        x = bottleneck(x, 256, name=f"layer3_{i}")  # 14x14x1024
    x = bottleneck(x, 512, stride=2, name="layer4_0")  # 7x7x2048
    x = bottleneck(x, 512, name="layer4_1")  # 7x7x2048
    x = bottleneck(x, 512, name="layer4_2")  # 7x7x2048
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 2048
    x = layers.Dense(classes, name="fc")(x)  # 1000
    return keras.Model(image, x, name="resnet50")
