"""ShuffleNet_V2_x1_0, generated from shufflenet_v2.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 2,278,604
Multiply-accumulates: 144,907,992
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="cnnspec")
class ChannelShuffle(layers.Layer):
    """Interleaves the channels of `groups` groups."""

    def __init__(self, groups: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        shape = ops.shape(x)
        grouped = ops.reshape(x, (*shape[:-1], self.groups, shape[-1] // self.groups))
        return ops.reshape(ops.swapaxes(grouped, -1, -2), shape)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"groups": self.groups}


@keras.saving.register_keras_serializable(package="cnnspec")
class Split(layers.Layer):
    """Cuts one axis into a number of equal parts, or into parts of given sizes."""

    def __init__(
        self, parts: int | tuple[int, ...], *, axis: int = -1, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.parts = parts if isinstance(parts, int) else tuple(parts)
        self.axis = axis

    def call(self, x: keras.KerasTensor) -> list[keras.KerasTensor]:
        if isinstance(self.parts, int):
            return ops.split(x, self.parts, axis=self.axis)
        ends = [sum(self.parts[: i + 1]) for i in range(len(self.parts) - 1)]
        return ops.split(x, ends, axis=self.axis)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"parts": self.parts, "axis": self.axis}


def downsampling_unit(
    x: keras.KerasTensor, filters: int, *, name: str
) -> keras.KerasTensor:
    """56x56x24 -> 28x28x116 at `stage2.0`, the first of 3 uses."""
    width = filters // 2
    left = layers.ZeroPadding2D(1, name=f"{name}_branch1_0_pad")(x)
    left = layers.DepthwiseConv2D(
        3, strides=2, use_bias=False, name=f"{name}_branch1_0"
    )(left)
    left = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_branch1_1"
    )(left)
    left = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_branch1_2")(left)
    left = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_branch1_3"
    )(left)
    left = layers.ReLU(name=f"{name}_branch1_4")(left)
    right = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_branch2_0")(x)
    right = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_branch2_1"
    )(right)
    right = layers.ReLU(name=f"{name}_branch2_2")(right)
    right = layers.ZeroPadding2D(1, name=f"{name}_branch2_3_pad")(right)
    right = layers.DepthwiseConv2D(
        3, strides=2, use_bias=False, name=f"{name}_branch2_3"
    )(right)
    right = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_branch2_4"
    )(right)
    right = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_branch2_5")(right)
    right = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_branch2_6"
    )(right)
    right = layers.ReLU(name=f"{name}_branch2_7")(right)
    x = layers.Concatenate(name=f"{name}_concat_1")([left, right])
    return ChannelShuffle(2, name=f"{name}_channel_shuffle_1")(x)


def basic_unit(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """28x28x116 -> 28x28x116 at `stage2.1`, the first of 13 uses."""
    in_channels = x.shape[-1]
    width = in_channels // 2
    left, right = Split(2, name=f"{name}_split_1")(x)
    y = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_branch2_0")(right)
    y = layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        name=f"{name}_branch2_1",
    )(y)
    y = layers.ReLU(name=f"{name}_branch2_2")(y)
    y = layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, name=f"{name}_branch2_3"
    )(y)
    y = layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        name=f"{name}_branch2_4",
    )(y)
    y = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_branch2_5")(y)
    y = layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        name=f"{name}_branch2_6",
    )(y)
    y = layers.ReLU(name=f"{name}_branch2_7")(y)
    x = layers.Concatenate(name=f"{name}_concat_1")([left, y])
    return ChannelShuffle(2, name=f"{name}_channel_shuffle_1")(x)


def shufflenet_v2_x1_0(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ShuffleNet_V2_x1_0: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(1, name="conv1_0_pad")(image)
    x = layers.Conv2D(24, 3, strides=2, use_bias=False, name="conv1_0")(x)  # 112x112x24
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="conv1_1")(x)
    x = layers.ReLU(name="conv1_2")(x)  # 112x112x24
    x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="maxpool")(x)  # 56x56x24
    x = downsampling_unit(x, 116, name="stage2_0")  # 28x28x116
    for i in range(3):
        x = basic_unit(x, name=f"stage2_{i + 1}")  # 28x28x116
    x = downsampling_unit(x, 232, name="stage3_0")  # 14x14x232
    for i in range(7):
        x = basic_unit(x, name=f"stage3_{i + 1}")  # 14x14x232
    x = downsampling_unit(x, 464, name="stage4_0")  # 7x7x464
    for i in range(3):
        x = basic_unit(x, name=f"stage4_{i + 1}")  # 7x7x464
    x = layers.Conv2D(1024, 1, use_bias=False, name="conv5_0")(x)  # 7x7x1024
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="conv5_1")(x)
    x = layers.ReLU(name="conv5_2")(x)  # 7x7x1024
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 1024
    x = layers.Dense(classes, name="fc")(x)  # 1000
    return keras.Model(image, x, name="shufflenet_v2_x1_0")
