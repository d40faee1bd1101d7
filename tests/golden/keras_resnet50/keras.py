"""ResNet50, generated from resnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 25,583,592
Multiply-accumulates: 3,857,973,248
"""

import keras
from keras import layers


def bottleneck(
    x: keras.KerasTensor, width: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """56x56x64 -> 56x56x256 at `conv2_block1`, the first of 16 uses."""
    in_channels = x.shape[-1]
    expanded = width * 4
    shortcut = x
    if in_channels != expanded:
        shortcut = layers.Conv2D(expanded, 1, strides=stride, name=f"{name}_conv_0")(x)
        shortcut = layers.BatchNormalization(
            momentum=0.99, epsilon=1.001e-5, name=f"{name}_bn_0"
        )(shortcut)
    y = layers.Conv2D(width, 1, strides=stride, name=f"{name}_conv_1")(x)
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_1",
    )(y)
    y = layers.ReLU(name=f"{name}_relu_1")(y)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv_2")(y)
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_2",
    )(y)
    y = layers.ReLU(name=f"{name}_relu_2")(y)
    y = layers.Conv2D(expanded, 1, name=f"{name}_conv_3")(y)
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_3",
    )(y)
    x = layers.Add(name=f"{name}_add")([shortcut, y])
    return layers.ReLU(name=f"{name}_out")(x)


def resnet50(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ResNet50: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(3, name="conv1_conv_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)  # 112x112x64
    x = layers.BatchNormalization(momentum=0.99, epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.ReLU(name="conv1_relu")(x)  # 112x112x64
    x = layers.ZeroPadding2D(1, name="pool1_pool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)  # 56x56x64
    for i in range(1, 4):
        x = bottleneck(x, 64, name=f"conv2_block{i}")  # 56x56x256
    x = bottleneck(x, 128, stride=2, name="conv3_block1")  # 28x28x512
    for i in range(2, 5):
        x = bottleneck(x, 128, name=f"conv3_block{i}")  # 28x28x512
    x = bottleneck(x, 256, stride=2, name="conv4_block1")  # 14x14x1024
    for i in range(2, 7):
        x = bottleneck(x, 256, name=f"conv4_block{i}")  # 14x14x1024
    x = bottleneck(x, 512, stride=2, name="conv5_block1")  # 7x7x2048
    x = bottleneck(x, 512, name="conv5_block2")  # 7x7x2048
    x = bottleneck(x, 512, name="conv5_block3")  # 7x7x2048
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 2048
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="resnet50")
