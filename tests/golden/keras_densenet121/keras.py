"""DenseNet121, generated from densenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 7,978,856
Multiply-accumulates: 2,834,161,664
"""

import keras
from keras import layers


def dense_layer(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """56x56x64 -> 56x56x96 at `conv2_block1`, the first of 58 uses."""
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_0",
    )(x)
    y = layers.ReLU(name=f"{name}_relu_0")(y)
    y = layers.Conv2D(128, 1, use_bias=False, name=f"{name}_conv_1")(y)
    y = layers.BatchNormalization(
        momentum=0.99,
        epsilon=1.001e-5,
        name=f"{name}_bn_1",
    )(y)
    y = layers.ReLU(name=f"{name}_relu_1")(y)
    y = layers.Conv2D(32, 3, padding="same", use_bias=False, name=f"{name}_conv_2")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """56x56x256 -> 28x28x128 at `pool2`, the first of 3 uses."""
    in_channels = x.shape[-1]
    x = layers.BatchNormalization(momentum=0.99, epsilon=1.001e-5, name=f"{name}_bn")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.Conv2D(in_channels // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def densenet121(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """DenseNet121: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(3, name="conv1_conv_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.ReLU(name="conv1_relu")(x)  # 112x112x64
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # 56x56x64
    for i in range(1, 7):
        x = dense_layer(x, name=f"conv2_block{i}")  # 56x56x256 at the end
    x = transition(x, name="pool2")  # 28x28x128
    for i in range(1, 13):
        x = dense_layer(x, name=f"conv3_block{i}")  # 28x28x512 at the end
    x = transition(x, name="pool3")  # 14x14x256
    for i in range(1, 25):
        x = dense_layer(x, name=f"conv4_block{i}")  # 14x14x1024 at the end
    x = transition(x, name="pool4")  # 7x7x512
    for i in range(1, 17):
        x = dense_layer(x, name=f"conv5_block{i}")  # 7x7x1024 at the end
    x = layers.BatchNormalization(momentum=0.99, epsilon=1.001e-5, name="bn")(x)
    x = layers.ReLU(name="relu")(x)  # 7x7x1024
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 1024
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="densenet121")
