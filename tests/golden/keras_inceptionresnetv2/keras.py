"""InceptionResNetV2, generated from inception_resnet_v2.cnn by cnnspec 0.1.0.

Input: image 299x299x3 (height x width x channels)
Output: output 1000
Parameters: 55,813,192
Multiply-accumulates: 13,155,794,016
"""

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="cnnspec")
class ScaleShift(layers.Layer):
    """Multiplies by one number and adds another, in the precision of what it gets."""

    def __init__(self, scale: float, shift: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.shift = shift

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x * self.scale + self.shift

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"scale": self.scale, "shift": self.shift}


def conv_norm_valid(
    x: keras.KerasTensor, filters: int, stride: int, *, name: str
) -> keras.KerasTensor:
    """299x299x3 -> 149x149x32 at `stem.conv_norm_valid_1`, the first of 8 uses."""
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
    """147x147x32 -> 147x147x64 at `stem.conv_norm_1`, the first of 195 uses."""
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


def inception_a(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """35x35x192 -> 35x35x320 at `mixed_5b`."""
    branch1x1 = conv_norm(x, 96, 1, name=f"{name}_branch1x1")  # 35x35x96
    branch5x5 = conv_norm(x, 48, 1, name=f"{name}_branch5x5_0")  # 35x35x48
    branch5x5 = conv_norm(branch5x5, 64, 5, name=f"{name}_branch5x5_1")  # 35x35x64
    branch3x3dbl = conv_norm(x, 64, 1, name=f"{name}_branch3x3dbl_0")  # 35x35x64
    branch3x3dbl = conv_norm(branch3x3dbl, 96, 3, name=f"{name}_branch3x3dbl_1")
    branch3x3dbl = conv_norm(branch3x3dbl, 96, 3, name=f"{name}_branch3x3dbl_2")
    branch_pool = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"{name}_branch_pool_0"
    )(x)
    branch_pool = conv_norm(branch_pool, 64, 1, name=f"{name}_branch_pool_1")
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1x1, branch5x5, branch3x3dbl, branch_pool])


def block35(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """35x35x320 -> 35x35x320 at `block35_1`, the first of 10 uses."""
    branch_0 = conv_norm(x, 32, 1, name=f"{name}_branch_0")  # 35x35x32
    branch_1 = conv_norm(x, 32, 1, name=f"{name}_branch_1_0")  # 35x35x32
    branch_1 = conv_norm(branch_1, 32, 3, name=f"{name}_branch_1_1")  # 35x35x32
    branch_2 = conv_norm(x, 32, 1, name=f"{name}_branch_2_0")  # 35x35x32
    branch_2 = conv_norm(branch_2, 48, 3, name=f"{name}_branch_2_1")  # 35x35x48
    branch_2 = conv_norm(branch_2, 64, 3, name=f"{name}_branch_2_2")  # 35x35x64
    up = layers.Concatenate(name=f"{name}_mixed")([branch_0, branch_1, branch_2])
    up = layers.Conv2D(320, 1, name=f"{name}_conv")(up)  # 35x35x320
    up = ScaleShift(0.17, name=f"{name}_scale_shift_1")(up)  # 35x35x320
    x = layers.Add(name=f"{name}_add_1")([x, up])  # 35x35x320
    return layers.ReLU(name=f"{name}_ac")(x)  # 35x35x320


def reduction_a(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """35x35x320 -> 17x17x1088 at `mixed_6a`."""
    branch3x3 = conv_norm_valid(x, 384, 2, name=f"{name}_branch3x3")  # 17x17x384
    branch3x3dbl = conv_norm(x, 256, 1, name=f"{name}_branch3x3dbl_0")  # 35x35x256
    branch3x3dbl = conv_norm(branch3x3dbl, 256, 3, name=f"{name}_branch3x3dbl_1")
    branch3x3dbl = conv_norm_valid(branch3x3dbl, 384, 2, name=f"{name}_branch3x3dbl_2")
    branch_pool = layers.MaxPooling2D(3, strides=2, name=f"{name}_branch_pool")(x)
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch3x3, branch3x3dbl, branch_pool])


def block17(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """17x17x1088 -> 17x17x1088 at `block17_1`, the first of 20 uses."""
    branch_0 = conv_norm(x, 192, 1, name=f"{name}_branch_0")  # 17x17x192
    branch_1 = conv_norm(x, 128, 1, name=f"{name}_branch_1_0")  # 17x17x128
    branch_1 = conv_norm(branch_1, 160, (1, 7), name=f"{name}_branch_1_1")  # 17x17x160
    branch_1 = conv_norm(branch_1, 192, (7, 1), name=f"{name}_branch_1_2")  # 17x17x192
    up = layers.Concatenate(name=f"{name}_mixed")([branch_0, branch_1])  # 17x17x384
    up = layers.Conv2D(1088, 1, name=f"{name}_conv")(up)  # 17x17x1088
    up = ScaleShift(0.1, name=f"{name}_scale_shift_1")(up)  # 17x17x1088
    x = layers.Add(name=f"{name}_add_1")([x, up])  # 17x17x1088
    return layers.ReLU(name=f"{name}_ac")(x)  # 17x17x1088


def reduction17(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """17x17x1088 -> 8x8x2080 at `mixed_7a`."""
    branch_0 = conv_norm(x, 256, 1, name=f"{name}_branch_0_0")  # 17x17x256
    branch_0 = conv_norm_valid(branch_0, 384, 2, name=f"{name}_branch_0_1")  # 8x8x384
    branch_1 = conv_norm(x, 256, 1, name=f"{name}_branch_1_0")  # 17x17x256
    branch_1 = conv_norm_valid(branch_1, 288, 2, name=f"{name}_branch_1_1")  # 8x8x288
    branch_2 = conv_norm(x, 256, 1, name=f"{name}_branch_2_0")  # 17x17x256
    branch_2 = conv_norm(branch_2, 288, 3, name=f"{name}_branch_2_1")  # 17x17x288
    branch_2 = conv_norm_valid(branch_2, 320, 2, name=f"{name}_branch_2_2")  # 8x8x320
    branch_pool = layers.MaxPooling2D(3, strides=2, name=f"{name}_branch_pool")(x)
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch_0, branch_1, branch_2, branch_pool])


def block8(
    x: keras.KerasTensor, scale: float, activate: bool = False, *, name: str
) -> keras.KerasTensor:
    """8x8x2080 -> 8x8x2080 at `block8_1`, the first of 10 uses."""
    branch_0 = conv_norm(x, 192, 1, name=f"{name}_branch_0")  # 8x8x192
    branch_1 = conv_norm(x, 192, 1, name=f"{name}_branch_1_0")  # 8x8x192
    branch_1 = conv_norm(branch_1, 224, (1, 3), name=f"{name}_branch_1_1")  # 8x8x224
    branch_1 = conv_norm(branch_1, 256, (3, 1), name=f"{name}_branch_1_2")  # 8x8x256
    up = layers.Concatenate(name=f"{name}_mixed")([branch_0, branch_1])  # 8x8x448
    up = layers.Conv2D(2080, 1, name=f"{name}_conv")(up)  # 8x8x2080
    up = ScaleShift(scale, name=f"{name}_scale_shift_1")(up)  # 8x8x2080
    x = layers.Add(name=f"{name}_add_1")([x, up])  # 8x8x2080
    if activate:
        x = layers.ReLU(name=f"{name}_ac")(x)  # 8x8x2080
    return x


def inceptionresnetv2(
    classes: int = 1000, *, input_size: tuple[int, int] = (299, 299)
) -> keras.Model:
    """InceptionResNetV2: 299x299x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = stem(image, name="stem")  # 35x35x192
    x = inception_a(x, name="mixed_5b")  # 35x35x320
    for i in range(10):
        x = block35(x, name=f"block35_{i + 1}")  # 35x35x320
    x = reduction_a(x, name="mixed_6a")  # 17x17x1088
    for i in range(20):
        x = block17(x, name=f"block17_{i + 1}")  # 17x17x1088
    x = reduction17(x, name="mixed_7a")  # 8x8x2080
    for i in range(9):
        x = block8(x, 0.2, activate=True, name=f"block8_{i + 1}")  # 8x8x2080
    x = block8(x, 1.0, name="block8_10")  # 8x8x2080
    x = layers.Conv2D(1536, 1, use_bias=False, name="conv_7b")(x)  # 8x8x1536
    x = layers.BatchNormalization(
        momentum=0.99, epsilon=0.001, scale=False, name="conv_7b_bn"
    )(x)
    x = layers.ReLU(name="conv_7b_ac")(x)  # 8x8x1536
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 1536
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="inceptionresnetv2")
