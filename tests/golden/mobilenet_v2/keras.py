"""MobileNet_V2, generated from mobilenet_v2.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 3,504,872
Multiply-accumulates: 300,774,272
"""

import keras
from keras import layers


def inverted_residual(
    x: keras.KerasTensor, filters: int, expansion: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x16 at `features.1`, the first of 17 uses."""
    in_channels = x.shape[-1]
    expanded = expansion * in_channels
    shift = int(expansion != 1)
    residual = in_channels == filters
    y = x
    if expansion != 1:
        y = layers.Conv2D(expanded, 1, use_bias=False, name=f"{name}_conv_0_0")(x)
        y = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}_conv_0_1"
        )(y)
        y = layers.ReLU(6.0, name=f"{name}_conv_0_2")(y)
    y = layers.ZeroPadding2D(1, name=f"{name}_conv_{shift}_0_pad")(y)
    y = layers.DepthwiseConv2D(
        3, strides=stride, use_bias=False, name=f"{name}_conv_{shift}_0"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_conv_{shift}_1"
    )(y)
    y = layers.ReLU(6.0, name=f"{name}_conv_{shift}_2")(y)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_conv_{shift + 1}")(y)
    y = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_conv_{shift + 2}"
    )(y)
    if residual:
        y = layers.Add(name=f"{name}_add_1")([x, y])
    return y


def mobilenet_v2(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """MobileNet_V2: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(1, name="features_0_0_pad")(image)
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="features_0_0")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_0_1")(x)
    x = layers.ReLU(6.0, name="features_0_2")(x)  # 112x112x32
    x = inverted_residual(x, 16, 1, name="features_1")  # 112x112x16
    x = inverted_residual(x, 24, 6, stride=2, name="features_2")  # 56x56x24
    x = inverted_residual(x, 24, 6, name="features_3")  # 56x56x24
    x = inverted_residual(x, 32, 6, stride=2, name="features_4")  # 28x28x32
    x = inverted_residual(x, 32, 6, name="features_5")  # 28x28x32
    x = inverted_residual(x, 32, 6, name="features_6")  # 28x28x32
    x = inverted_residual(x, 64, 6, stride=2, name="features_7")  # 14x14x64
    for i in range(8, 11):
        x = inverted_residual(x, 64, 6, name=f"features_{i}")  # 14x14x64
    for i in range(11, 14):
        x = inverted_residual(x, 96, 6, name=f"features_{i}")  # 14x14x96
    x = inverted_residual(x, 160, 6, stride=2, name="features_14")  # 7x7x160
    x = inverted_residual(x, 160, 6, name="features_15")  # 7x7x160
    x = inverted_residual(x, 160, 6, name="features_16")  # 7x7x160
    x = inverted_residual(x, 320, 6, name="features_17")  # 7x7x320
    x = layers.Conv2D(1280, 1, use_bias=False, name="features_18_0")(x)  # 7x7x1280
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_18_1")(x)
    x = layers.ReLU(6.0, name="features_18_2")(x)  # 7x7x1280
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1280
    x = layers.Dropout(0.2, name="classifier_0")(x)  # 1280
    x = layers.Dense(classes, name="classifier_1")(x)  # 1000
    return keras.Model(image, x, name="mobilenet_v2")
