"""ResNet50V2, generated from resnet_v2.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 25,568,360
Multiply-accumulates: 3,482,255,360
"""

import keras
from keras import layers


def bottleneck(
    x: keras.KerasTensor, width: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """56x56x64 -> 56x56x256 at `conv2_block1`, the first of 16 uses."""
    in_channels = x.shape[-1]
    expanded = width * 4
    y = layers.BatchNormalization(
        momentum=0.99, epsilon=1.001e-5, name=f"{name}_preact_bn"
    )(x)
    y = layers.ReLU(name=f"{name}_preact_relu")(y)
    if in_channels != expanded:
        x = layers.Conv2D(expanded, 1, name=f"{name}_conv_0")(y)
    elif stride != 1:
        x = layers.MaxPooling2D(1, strides=stride, name=f"{name}_max_pool_1")(x)
    y = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_conv_1")(y)
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_1",
    )(y)
    y = layers.ReLU(name=f"{name}_relu_1")(y)
    y = layers.ZeroPadding2D(1, name=f"{name}_conv_2_pad")(y)
    y = layers.Conv2D(
        width,
        3,
        strides=stride,
        use_bias=False,
        name=f"{name}_conv_2",
    )(y)
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_2",
    )(y)
    y = layers.ReLU(name=f"{name}_relu_2")(y)
    y = layers.Conv2D(expanded, 1, name=f"{name}_conv_3")(y)
    return layers.Add(name=f"{name}_out")([x, y])


def resnet50v2(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ResNet50V2: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(3, name="conv1_conv_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)  # 112x112x64
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # 114x114x64
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)  # 56x56x64
    x = bottleneck(x, 64, name="conv2_block1")  # 56x56x256
    x = bottleneck(x, 64, name="conv2_block2")  # 56x56x256
    x = bottleneck(x, 64, stride=2, name="conv2_block3")  # 28x28x256
    for i in range(1, 4):
        x = bottleneck(x, 128, name=f"conv3_block{i}")  # 28x28x512
    x = bottleneck(x, 128, stride=2, name="conv3_block4")  # 14x14x512
    for i in range(1, 6):
        x = bottleneck(x, 256, name=f"conv4_block{i}")  # 14x14x1024
    x = bottleneck(x, 256, stride=2, name="conv4_block6")  # 7x7x1024
    for i in range(1, 4):
        x = bottleneck(x, 512, name=f"conv5_block{i}")  # 7x7x2048
    x = layers.BatchNormalization(momentum=0.99, epsilon=1.001e-5, name="post_bn")(x)
    x = layers.ReLU(name="post_relu")(x)  # 7x7x2048
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 2048
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="resnet50v2")
