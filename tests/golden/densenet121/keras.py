"""DenseNet121, generated from densenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 7,978,856
Multiply-accumulates: 2,834,161,664
"""

import keras
from keras import layers


def dense_layer(x: keras.KerasTensor, growth: int, *, name: str) -> keras.KerasTensor:
    """56x56x64 -> 56x56x32 at `features.denseblock1.denselayer1`, the first of
    58 uses.
    """
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = layers.Conv2D(4 * growth, 1, use_bias=False, name=f"{name}_conv1")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm2")(x)
    x = layers.ReLU(name=f"{name}_relu2")(x)
    return layers.Conv2D(
        growth, 3, padding="same", use_bias=False, name=f"{name}_conv2"
    )(x)


def dense_block(
    x: keras.KerasTensor, depth: int, growth: int, *, name: str
) -> keras.KerasTensor:
    """56x56x64 -> 56x56x256 at `features.denseblock1`, the first of 4 uses."""
    for i in range(1, depth + 1):
        y = dense_layer(x, growth, name=f"{name}_denselayer{i}")
        x = layers.Concatenate(name=f"{name}_concat_{i}")([x, y])
    return x


def transition(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """56x56x256 -> 28x28x128 at `features.transition1`, the first of 3 uses."""
    in_channels = x.shape[-1]
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    x = layers.ReLU(name=f"{name}_relu_1")(x)
    x = layers.Conv2D(in_channels // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def densenet121(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """DenseNet121: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(3, name="features_conv0_pad")(image)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="features_conv0")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_norm0")(x)
    x = layers.ReLU(name="features_relu0")(x)  # 112x112x64
    x = layers.ZeroPadding2D(1, name="features_pool0_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="features_pool0")(x)  # 56x56x64
    x = dense_block(x, 6, 32, name="features_denseblock1")  # 56x56x256
    x = transition(x, name="features_transition1")  # 28x28x128
    x = dense_block(x, 12, 32, name="features_denseblock2")  # 28x28x512
    x = transition(x, name="features_transition2")  # 14x14x256
    x = dense_block(x, 24, 32, name="features_denseblock3")  # 14x14x1024
    x = transition(x, name="features_transition3")  # 7x7x512
    x = dense_block(x, 16, 32, name="features_denseblock4")  # 7x7x1024
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="features_norm5")(x)
    x = layers.ReLU(name="relu_1")(x)  # 7x7x1024
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1024
    x = layers.Dense(classes, name="classifier")(x)  # 1000
    return keras.Model(image, x, name="densenet121")
