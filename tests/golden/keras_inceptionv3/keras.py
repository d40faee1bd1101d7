"""InceptionV3, generated from inception_v3.cnn by cnnspec 0.1.0.

Input: image 299x299x3 (height x width x channels)
Output: output 1000
Parameters: 23,817,352
Multiply-accumulates: 5,713,216,096
"""

import keras
from keras import layers


def conv_norm_valid(
    x: keras.KerasTensor, filters: int, stride: int, *, name: str
) -> keras.KerasTensor:
    """299x299x3 -> 149x149x32 at `stem.conv_norm_valid_1`, the first of 7 uses."""
    x = layers.Conv2D(
        filters,
        3,
        strides=stride,
        use_bias=False,
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, scale=False, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu_1")(x)


def conv_norm(
    x: keras.KerasTensor, filters: int, kernel: int | tuple[int, int], *, name: str
) -> keras.KerasTensor:
    """147x147x32 -> 147x147x64 at `stem.conv_norm_1`, the first of 87 uses."""
    x = layers.Conv2D(
        filters, kernel, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, scale=False, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu_1")(x)


def stem(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """299x299x3 -> 35x35x192 at `stem`."""
    x = conv_norm_valid(x, 32, 2, name=f"{name}_conv_norm_valid_1")  # 149x149x32
    x = conv_norm_valid(x, 32, 1, name=f"{name}_conv_norm_valid_2")  # 147x147x32
    x = conv_norm(x, 64, 3, name=f"{name}_conv_norm_1")  # 147x147x64
    x = layers.MaxPooling2D(3, strides=2, name=f"{name}_max_pool_1")(x)  # 73x73x64
    x = conv_norm(x, 80, 1, name=f"{name}_conv_norm_2")  # 73x73x80
    x = conv_norm_valid(x, 192, 1, name=f"{name}_conv_norm_valid_3")  # 71x71x192
    return layers.MaxPooling2D(3, strides=2, name=f"{name}_max_pool_2")(x)  # 35x35x192


def inception_a(x: keras.KerasTensor, pooled: int, *, name: str) -> keras.KerasTensor:
    """35x35x192 -> 35x35x256 at `mixed0`, the first of 3 uses."""
    branch1x1 = conv_norm(x, 64, 1, name=f"{name}_branch1x1")  # 35x35x64
    branch5x5 = conv_norm(x, 48, 1, name=f"{name}_branch5x5_0")  # 35x35x48
    branch5x5 = conv_norm(branch5x5, 64, 5, name=f"{name}_branch5x5_1")  # 35x35x64
    branch3x3dbl = conv_norm(x, 64, 1, name=f"{name}_branch3x3dbl_0")  # 35x35x64
    branch3x3dbl = conv_norm(branch3x3dbl, 96, 3, name=f"{name}_branch3x3dbl_1")
    branch3x3dbl = conv_norm(branch3x3dbl, 96, 3, name=f"{name}_branch3x3dbl_2")
    branch_pool = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"{name}_branch_pool_0"
    )(x)
    branch_pool = conv_norm(branch_pool, pooled, 1, name=f"{name}_branch_pool_1")
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1x1, branch5x5, branch3x3dbl, branch_pool])


def reduction_a(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """35x35x288 -> 17x17x768 at `mixed3`."""
    branch3x3 = conv_norm_valid(x, 384, 2, name=f"{name}_branch3x3")  # 17x17x384
    branch3x3dbl = conv_norm(x, 64, 1, name=f"{name}_branch3x3dbl_0")  # 35x35x64
    branch3x3dbl = conv_norm(branch3x3dbl, 96, 3, name=f"{name}_branch3x3dbl_1")
    branch3x3dbl = conv_norm_valid(branch3x3dbl, 96, 2, name=f"{name}_branch3x3dbl_2")
    branch_pool = layers.MaxPooling2D(3, strides=2, name=f"{name}_branch_pool")(x)
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch3x3, branch3x3dbl, branch_pool])


def inception_b(x: keras.KerasTensor, narrow: int, *, name: str) -> keras.KerasTensor:
    """17x17x768 -> 17x17x768 at `mixed4`, the first of 4 uses."""
    branch1x1 = conv_norm(x, 192, 1, name=f"{name}_branch1x1")  # 17x17x192
    branch7x7 = conv_norm(x, narrow, 1, name=f"{name}_branch7x7_0")
    branch7x7 = conv_norm(branch7x7, narrow, (1, 7), name=f"{name}_branch7x7_1")
    branch7x7 = conv_norm(branch7x7, 192, (7, 1), name=f"{name}_branch7x7_2")
    branch7x7dbl = conv_norm(x, narrow, 1, name=f"{name}_branch7x7dbl_0")
    branch7x7dbl = conv_norm(
        branch7x7dbl, narrow, (7, 1), name=f"{name}_branch7x7dbl_1"
    )
    branch7x7dbl = conv_norm(
        branch7x7dbl, narrow, (1, 7), name=f"{name}_branch7x7dbl_2"
    )
    branch7x7dbl = conv_norm(
        branch7x7dbl, narrow, (7, 1), name=f"{name}_branch7x7dbl_3"
    )
    branch7x7dbl = conv_norm(branch7x7dbl, 192, (1, 7), name=f"{name}_branch7x7dbl_4")
    branch_pool = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"{name}_branch_pool_0"
    )(x)
    branch_pool = conv_norm(branch_pool, 192, 1, name=f"{name}_branch_pool_1")
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1x1, branch7x7, branch7x7dbl, branch_pool])


def reduction_b(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """17x17x768 -> 8x8x1280 at `mixed8`."""
    branch3x3 = conv_norm(x, 192, 1, name=f"{name}_branch3x3_0")  # 17x17x192
    branch3x3 = conv_norm_valid(branch3x3, 320, 2, name=f"{name}_branch3x3_1")
    branch7x7x3 = conv_norm(x, 192, 1, name=f"{name}_branch7x7x3_0")  # 17x17x192
    branch7x7x3 = conv_norm(branch7x7x3, 192, (1, 7), name=f"{name}_branch7x7x3_1")
    branch7x7x3 = conv_norm(branch7x7x3, 192, (7, 1), name=f"{name}_branch7x7x3_2")
    branch7x7x3 = conv_norm_valid(branch7x7x3, 192, 2, name=f"{name}_branch7x7x3_3")
    branch_pool = layers.MaxPooling2D(3, strides=2, name=f"{name}_branch_pool")(x)
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch3x3, branch7x7x3, branch_pool])


def fork(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """8x8x384 -> 8x8x768 at `mixed9.branch3x3.1`, the first of 4 uses."""
    row = conv_norm(x, 384, (1, 3), name=f"{name}_row")  # 8x8x384
    column = conv_norm(x, 384, (3, 1), name=f"{name}_column")  # 8x8x384
    return layers.Concatenate(name=f"{name}_concat_1")([row, column])  # 8x8x768


def inception_c(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """8x8x1280 -> 8x8x2048 at `mixed9`, the first of 2 uses."""
    branch1x1 = conv_norm(x, 320, 1, name=f"{name}_branch1x1")  # 8x8x320
    branch3x3 = conv_norm(x, 384, 1, name=f"{name}_branch3x3_0")  # 8x8x384
    branch3x3 = fork(branch3x3, name=f"{name}_branch3x3_1")  # 8x8x768
    branch3x3dbl = conv_norm(x, 448, 1, name=f"{name}_branch3x3dbl_0")  # 8x8x448
    branch3x3dbl = conv_norm(branch3x3dbl, 384, 3, name=f"{name}_branch3x3dbl_1")
    branch3x3dbl = fork(branch3x3dbl, name=f"{name}_branch3x3dbl_2")  # 8x8x768
    branch_pool = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"{name}_branch_pool_0"
    )(x)
    branch_pool = conv_norm(branch_pool, 192, 1, name=f"{name}_branch_pool_1")
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1x1, branch3x3, branch3x3dbl, branch_pool])


def inceptionv3(
    classes: int = 1000, *, input_size: tuple[int, int] = (299, 299)
) -> keras.Model:
    """InceptionV3: 299x299x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = stem(image, name="stem")  # 35x35x192
    x = inception_a(x, 32, name="mixed0")  # 35x35x256
    x = inception_a(x, 64, name="mixed1")  # 35x35x288
    x = inception_a(x, 64, name="mixed2")  # 35x35x288
    x = reduction_a(x, name="mixed3")  # 17x17x768
    x = inception_b(x, 128, name="mixed4")  # 17x17x768
    x = inception_b(x, 160, name="mixed5")  # 17x17x768
    x = inception_b(x, 160, name="mixed6")  # 17x17x768
    x = inception_b(x, 192, name="mixed7")  # 17x17x768
    x = reduction_b(x, name="mixed8")  # 8x8x1280
    x = inception_c(x, name="mixed9")  # 8x8x2048
    x = inception_c(x, name="mixed10")  # 8x8x2048
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 2048
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="inceptionv3")
