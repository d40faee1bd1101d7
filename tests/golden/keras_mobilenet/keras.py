"""MobileNet, generated from mobilenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 4,231,976
Multiply-accumulates: 568,740,352
Compiled with alpha = 1.0
"""

import keras
from keras import layers


def depthwise_conv_block(
    x: keras.KerasTensor, filters: int, stride: int = 1, dw: int = 1, *, name: str
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x64 at `conv_1`, the first of 13 uses."""
    x = layers.ZeroPadding2D(((dw, 1), (dw, 1)), name=f"{name}_dw_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False, name=f"{name}_dw")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name=f"{name}_dw_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_dw_relu")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_pw")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name=f"{name}_pw_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_pw_relu")(x)


def mobilenet(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNet: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(
        32,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        name="conv1",
    )(image)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv1_bn")(x)
    x = layers.ReLU(6.0, name="conv1_relu")(x)  # 112x112x32
    x = depthwise_conv_block(x, 64, name="conv_1")  # 112x112x64
    x = depthwise_conv_block(x, 128, stride=2, dw=0, name="conv_2")  # 56x56x128
    x = depthwise_conv_block(x, 128, name="conv_3")  # 56x56x128
    x = depthwise_conv_block(x, 256, stride=2, dw=0, name="conv_4")  # 28x28x256
    x = depthwise_conv_block(x, 256, name="conv_5")  # 28x28x256
    x = depthwise_conv_block(x, 512, stride=2, dw=0, name="conv_6")  # 14x14x512
    for i in range(7, 12):
        x = depthwise_conv_block(x, 512, name=f"conv_{i}")  # 14x14x512
    x = depthwise_conv_block(x, 1024, stride=2, dw=0, name="conv_12")  # 7x7x1024
    x = depthwise_conv_block(x, 1024, name="conv_13")  # 7x7x1024
    x = layers.GlobalAveragePooling2D(keepdims=True, name="global_avg_pool_1")(x)
    x = layers.Dropout(0.001, name="dropout")(x)  # 1x1x1024
    x = layers.Conv2D(classes, 1, name="conv_preds")(x)  # 1x1x1000
    x = layers.Flatten(name="flatten_1")(x)  # 1000
    x = layers.Softmax(name="predictions")(x)  # 1000
    return keras.Model(image, x, name="mobilenet")
