"""Inception_V3, generated from inception_v3.cnn by cnnspec 0.1.0.

Input: image 299x299x3 (height x width x channels)
Output: output 1000, aux 1000
Parameters: 27,161,264
Multiply-accumulates: 5,713,216,096
Compiled with auxiliary_heads = True
"""

import keras
from keras import layers


def basic_conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    conv_padding: str = "valid",
    *,
    name: str,
) -> keras.KerasTensor:
    """299x299x3 -> 149x149x32 at `Conv2d_1a_3x3`, the first of 96 uses."""
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=conv_padding,
        use_bias=False,
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=0.001, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu_1")(x)


def inception_a(x: keras.KerasTensor, pooled: int, *, name: str) -> keras.KerasTensor:
    """35x35x192 -> 35x35x256 at `Mixed_5b`, the first of 3 uses."""
    branch1x1 = basic_conv(x, 64, 1, name=f"{name}_branch1x1")  # 35x35x64
    branch5x5_1 = basic_conv(x, 48, 1, name=f"{name}_branch5x5_1")  # 35x35x48
    branch5x5_2 = basic_conv(
        branch5x5_1, 64, 5, conv_padding="same", name=f"{name}_branch5x5_2"
    )
    branch3x3dbl_1 = basic_conv(x, 64, 1, name=f"{name}_branch3x3dbl_1")  # 35x35x64
    branch3x3dbl_1 = basic_conv(
        branch3x3dbl_1, 96, 3, conv_padding="same", name=f"{name}_branch3x3dbl_2"
    )
    branch3x3dbl_3 = basic_conv(
        branch3x3dbl_1, 96, 3, conv_padding="same", name=f"{name}_branch3x3dbl_3"
    )
    x = layers.ZeroPadding2D(1, name=f"{name}_avg_pool_1_pad")(x)
    x = layers.AveragePooling2D(3, strides=1, name=f"{name}_avg_pool_1")(x)
    branch_pool = basic_conv(x, pooled, 1, name=f"{name}_branch_pool")
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1x1, branch5x5_2, branch3x3dbl_3, branch_pool])


def inception_b(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """35x35x288 -> 17x17x768 at `Mixed_6a`."""
    branch3x3 = basic_conv(x, 384, 3, stride=2, name=f"{name}_branch3x3")  # 17x17x384
    branch3x3dbl_1 = basic_conv(x, 64, 1, name=f"{name}_branch3x3dbl_1")  # 35x35x64
    branch3x3dbl_1 = basic_conv(
        branch3x3dbl_1, 96, 3, conv_padding="same", name=f"{name}_branch3x3dbl_2"
    )
    branch3x3dbl_3 = basic_conv(
        branch3x3dbl_1, 96, 3, stride=2, name=f"{name}_branch3x3dbl_3"
    )
    x = layers.MaxPooling2D(3, strides=2, name=f"{name}_max_pool_1")(x)  # 17x17x288
    return layers.Concatenate(name=f"{name}_concat_1")([branch3x3, branch3x3dbl_3, x])


def inception_c(x: keras.KerasTensor, narrow: int, *, name: str) -> keras.KerasTensor:
    """17x17x768 -> 17x17x768 at `Mixed_6b`, the first of 4 uses."""
    branch1x1 = basic_conv(x, 192, 1, name=f"{name}_branch1x1")  # 17x17x192
    branch7x7_1 = basic_conv(x, narrow, 1, name=f"{name}_branch7x7_1")
    branch7x7_1 = basic_conv(
        branch7x7_1, narrow, (1, 7), conv_padding="same", name=f"{name}_branch7x7_2"
    )
    branch7x7_3 = basic_conv(
        branch7x7_1, 192, (7, 1), conv_padding="same", name=f"{name}_branch7x7_3"
    )
    branch7x7dbl_1 = basic_conv(x, narrow, 1, name=f"{name}_branch7x7dbl_1")
    branch7x7dbl_1 = basic_conv(
        branch7x7dbl_1,
        narrow,
        (7, 1),
        conv_padding="same",
        name=f"{name}_branch7x7dbl_2",
    )
    branch7x7dbl_1 = basic_conv(
        branch7x7dbl_1,
        narrow,
        (1, 7),
        conv_padding="same",
        name=f"{name}_branch7x7dbl_3",
    )
    branch7x7dbl_1 = basic_conv(
        branch7x7dbl_1,
        narrow,
        (7, 1),
        conv_padding="same",
        name=f"{name}_branch7x7dbl_4",
    )
    branch7x7dbl_5 = basic_conv(
        branch7x7dbl_1, 192, (1, 7), conv_padding="same", name=f"{name}_branch7x7dbl_5"
    )
    x = layers.ZeroPadding2D(1, name=f"{name}_avg_pool_1_pad")(x)
    x = layers.AveragePooling2D(3, strides=1, name=f"{name}_avg_pool_1")(x)  # 17x17x768
    branch_pool = basic_conv(x, 192, 1, name=f"{name}_branch_pool")  # 17x17x192
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1x1, branch7x7_3, branch7x7dbl_5, branch_pool])


def inception_aux(
    x: keras.KerasTensor, classes: int, *, name: str
) -> keras.KerasTensor:
    """17x17x768 -> 1000 at `AuxLogits`."""
    x = layers.AveragePooling2D(5, strides=3, name=f"{name}_avg_pool_1")(x)  # 5x5x768
    x = basic_conv(x, 128, 1, name=f"{name}_conv0")  # 5x5x128
    x = basic_conv(x, 768, 5, name=f"{name}_conv1")  # 1x1x768
    x = layers.GlobalAveragePooling2D(name=f"{name}_global_avg_pool_1")(x)  # 768
    return layers.Dense(classes, name=f"{name}_fc")(x)  # 1000


def inception_d(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """17x17x768 -> 8x8x1280 at `Mixed_7a`."""
    branch3x3_1 = basic_conv(x, 192, 1, name=f"{name}_branch3x3_1")  # 17x17x192
    branch3x3_2 = basic_conv(branch3x3_1, 320, 3, stride=2, name=f"{name}_branch3x3_2")
    branch7x7x3_1 = basic_conv(x, 192, 1, name=f"{name}_branch7x7x3_1")  # 17x17x192
    branch7x7x3_1 = basic_conv(
        branch7x7x3_1, 192, (1, 7), conv_padding="same", name=f"{name}_branch7x7x3_2"
    )
    branch7x7x3_1 = basic_conv(
        branch7x7x3_1, 192, (7, 1), conv_padding="same", name=f"{name}_branch7x7x3_3"
    )
    branch7x7x3_4 = basic_conv(
        branch7x7x3_1, 192, 3, stride=2, name=f"{name}_branch7x7x3_4"
    )
    x = layers.MaxPooling2D(3, strides=2, name=f"{name}_max_pool_1")(x)  # 8x8x768
    return layers.Concatenate(name=f"{name}_concat_1")([branch3x3_2, branch7x7x3_4, x])


def inception_e(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """8x8x1280 -> 8x8x2048 at `Mixed_7b`, the first of 2 uses."""
    narrow = basic_conv(x, 320, 1, name=f"{name}_branch1x1")  # 8x8x320
    wide = basic_conv(x, 384, 1, name=f"{name}_branch3x3_1")  # 8x8x384
    branch3x3_2a = basic_conv(
        wide, 384, (1, 3), conv_padding="same", name=f"{name}_branch3x3_2a"
    )
    branch3x3_2b = basic_conv(
        wide, 384, (3, 1), conv_padding="same", name=f"{name}_branch3x3_2b"
    )
    wide = layers.Concatenate(name=f"{name}_concat_1")([branch3x3_2a, branch3x3_2b])
    deep = basic_conv(x, 448, 1, name=f"{name}_branch3x3dbl_1")  # 8x8x448
    deep = basic_conv(deep, 384, 3, conv_padding="same", name=f"{name}_branch3x3dbl_2")
    branch3x3dbl_3a = basic_conv(
        deep, 384, (1, 3), conv_padding="same", name=f"{name}_branch3x3dbl_3a"
    )
    branch3x3dbl_3b = basic_conv(
        deep, 384, (3, 1), conv_padding="same", name=f"{name}_branch3x3dbl_3b"
    )
    deep = layers.Concatenate(
        name=f"{name}_concat_2",
    )([branch3x3dbl_3a, branch3x3dbl_3b])
    pooled = layers.ZeroPadding2D(1, name=f"{name}_avg_pool_1_pad")(x)
    pooled = layers.AveragePooling2D(3, strides=1, name=f"{name}_avg_pool_1")(pooled)
    pooled = basic_conv(pooled, 192, 1, name=f"{name}_branch_pool")  # 8x8x192
    return layers.Concatenate(name=f"{name}_concat_3")([narrow, wide, deep, pooled])


def inception_v3(
    classes: int = 1000, *, input_size: tuple[int, int] = (299, 299)
) -> keras.Model:
    """Inception_V3: 299x299x3 -> 1000, 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = basic_conv(image, 32, 3, stride=2, name="Conv2d_1a_3x3")  # 149x149x32
    x = basic_conv(x, 32, 3, name="Conv2d_2a_3x3")  # 147x147x32
    x = basic_conv(x, 64, 3, conv_padding="same", name="Conv2d_2b_3x3")  # 147x147x64
    x = layers.MaxPooling2D(3, strides=2, name="maxpool1")(x)  # 73x73x64
    x = basic_conv(x, 80, 1, name="Conv2d_3b_1x1")  # 73x73x80
    x = basic_conv(x, 192, 3, name="Conv2d_4a_3x3")  # 71x71x192
    x = layers.MaxPooling2D(3, strides=2, name="maxpool2")(x)  # 35x35x192
    x = inception_a(x, 32, name="Mixed_5b")  # 35x35x256
    x = inception_a(x, 64, name="Mixed_5c")  # 35x35x288
    x = inception_a(x, 64, name="Mixed_5d")  # 35x35x288
    x = inception_b(x, name="Mixed_6a")  # 17x17x768
    x = inception_c(x, 128, name="Mixed_6b")  # 17x17x768
    x = inception_c(x, 160, name="Mixed_6c")  # 17x17x768
    x = inception_c(x, 160, name="Mixed_6d")  # 17x17x768
    x = inception_c(x, 192, name="Mixed_6e")  # 17x17x768
    aux = inception_aux(x, classes, name="AuxLogits")  # 1000
    x = inception_d(x, name="Mixed_7a")  # 8x8x1280
    x = inception_e(x, name="Mixed_7b")  # 8x8x2048
    x = inception_e(x, name="Mixed_7c")  # 8x8x2048
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 2048
    x = layers.Dropout(0.5, name="dropout_1")(x)  # 2048
    x = layers.Dense(classes, name="fc")(x)  # 1000
    return keras.Model(image, [x, aux], name="inception_v3")
