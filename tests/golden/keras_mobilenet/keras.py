"""MobileNet, generated from mobilenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 4,231,976
Multiply-accumulates: 568,740,352
"""

import math

import keras
from keras import layers


def depthwise_conv_block(
    x: keras.KerasTensor, filters: int, stride: int, *, name: str
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x64 at `conv_1`, the first of 13 uses."""
    x = layers.ZeroPadding2D([(2 - stride, 1)] * 2, name=f"{name}_dw_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False, name=f"{name}_dw")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name=f"{name}_dw_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_dw_relu")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_pw")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name=f"{name}_pw_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_pw_relu")(x)


def mobilenet(
    classes: int = 1000, alpha: float = 1.0, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNet: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(
        math.floor(32 * alpha),
        3,
        strides=2,
        padding="same",
        use_bias=False,
        name="conv1",
    )(image)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv1_bn")(x)
    x = layers.ReLU(6.0, name="conv1_relu")(x)  # 112x112x32
    for i, (width, stride) in enumerate(
        [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
        + [(512, 1)] * 5
        + [(1024, 2), (1024, 1)],
        1,
    ):
        x = depthwise_conv_block(x, math.floor(width * alpha), stride, name=f"conv_{i}")
    x = layers.GlobalAveragePooling2D(keepdims=True, name="global_avg_pool_1")(x)
    x = layers.Dropout(0.001, name="dropout")(x)  # 1x1x1024
    x = layers.Conv2D(classes, 1, name="conv_preds")(x)  # 1x1x1000
    x = layers.Flatten(name="flatten_1")(x)  # 1000
    x = layers.Softmax(name="predictions")(x)  # 1000
    return keras.Model(image, x, name="mobilenet")
