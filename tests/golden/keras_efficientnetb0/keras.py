"""EfficientNetB0, generated from efficientnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 5,288,548
Multiply-accumulates: 385,814,752
Compiled with imagenet = False
"""

from collections.abc import Callable
from functools import partial

import keras
from keras import layers

# No objects, since one would draw the same values for all weights of one shape.
HE_TRUNCATED_NORMAL_FAN_OUT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}


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


def squeeze_excite(
    x: keras.KerasTensor, squeezed: int, *, name: str
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x32 at `block1a.se`, the first of 16 uses."""
    in_channels = x.shape[-1]
    scale = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    scale = layers.Conv2D(
        squeezed,
        1,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_reduce",
    )(scale)
    scale = layers.Activation("silu", name=f"{name}_silu_1")(scale)
    scale = layers.Conv2D(
        in_channels,
        1,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_expand",
    )(scale)
    scale = layers.Activation("sigmoid", name=f"{name}_sigmoid_1")(scale)
    return layers.Multiply(name=f"{name}_excite")([x, scale])


def mb_conv(
    x: keras.KerasTensor,
    expansion: int,
    kernel: int,
    filters: int,
    norm: Callable[..., layers.Layer],
    rate: float,
    stride: int = 1,
    depthwise: str = "dwconv",
    *,
    name: str,
) -> keras.KerasTensor:
    """The squeeze is a quarter of the channels that come in, not of the
    expanded ones. All kernels start by their fan out, which for a depthwise one
    Keras takes to be that of a single filter: here its fan in.

    112x112x32 -> 112x112x16 at `block1a`, the first of 16 uses.
    """
    in_channels = x.shape[-1]
    y = x
    if expansion > 1:
        y = layers.Conv2D(
            expansion * in_channels,
            1,
            use_bias=False,
            kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
            name=f"{name}_expand_conv",
        )(x)
        y = norm(name=f"{name}_expand_bn")(y)
        y = layers.Activation("silu", name=f"{name}_expand_activation")(y)
    y = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_dwconv",
    )(y)
    y = norm(name=f"{name}_bn")(y)
    y = layers.Activation("silu", name=f"{name}_activation")(y)
    y = squeeze_excite(y, in_channels // 4, name=f"{name}_se")
    y = layers.Conv2D(
        filters,
        1,
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_project_conv",
    )(y)
    y = norm(name=f"{name}_project_bn")(y)
    if stride == 1 and in_channels == filters:
        y = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(y)
        y = layers.Add(name=f"{name}_add")([y, x])
    return y


def efficientnetb0(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """EfficientNetB0: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    norm = partial(layers.BatchNormalization, momentum=0.99, epsilon=0.001)
    x = ScaleShift(1 / 255, name="scale_shift_1")(image)  # 224x224x3
    x = layers.Normalization(name="normalize_1")(x)  # 224x224x3
    x = layers.Conv2D(
        32,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name="stem_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="stem_bn")(x)
    x = layers.Activation("silu", name="stem_activation")(x)  # 112x112x32
    x = mb_conv(x, 1, 3, 16, norm, 0.0, name="block1a")  # 112x112x16
    x = mb_conv(x, 6, 3, 24, norm, 0.0125, stride=2, name="block2a")  # 56x56x24
    x = mb_conv(x, 6, 3, 24, norm, 0.025, name="block2b")  # 56x56x24
    x = mb_conv(x, 6, 5, 40, norm, 0.1 * 3 / 8, stride=2, name="block3a")  # 28x28x40
    x = mb_conv(x, 6, 5, 40, norm, 0.05, name="block3b")  # 28x28x40
    x = mb_conv(x, 6, 3, 80, norm, 0.0625, stride=2, name="block4a")  # 14x14x80
    x = mb_conv(x, 6, 3, 80, norm, 0.1 * 3 / 4, name="block4b")  # 14x14x80
    x = mb_conv(x, 6, 3, 80, norm, 0.1 * 7 / 8, name="block4c")  # 14x14x80
    x = mb_conv(x, 6, 5, 112, norm, 0.1, name="block5a")  # 14x14x112
    x = mb_conv(x, 6, 5, 112, norm, 0.1125, name="block5b")  # 14x14x112
    x = mb_conv(x, 6, 5, 112, norm, 0.125, name="block5c")  # 14x14x112
    x = mb_conv(x, 6, 5, 192, norm, 0.1375, stride=2, name="block6a")  # 7x7x192
    x = mb_conv(x, 6, 5, 192, norm, 0.1 * 3 / 2, name="block6b")  # 7x7x192
    x = mb_conv(x, 6, 5, 192, norm, 0.1625, name="block6c")  # 7x7x192
    x = mb_conv(x, 6, 5, 192, norm, 0.1 * 7 / 4, name="block6d")  # 7x7x192
    x = mb_conv(x, 6, 3, 320, norm, 0.1875, name="block7a")  # 7x7x320
    x = layers.Conv2D(
        1280,
        1,
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name="top_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="top_bn")(x)
    x = layers.Activation("silu", name="top_activation")(x)  # 7x7x1280
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # 1280
    x = layers.Dropout(0.2, name="top_dropout")(x)  # 1280
    x = layers.Dense(
        classes,
        kernel_initializer=keras.initializers.VarianceScaling(
            0.3333333333333333,
            "fan_out",
            "uniform",
        ),
        name="predictions",
    )(x)
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="efficientnetb0")
