"""EfficientNetV2B0, generated from efficientnet_v2.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 7,139,704
Multiply-accumulates: 718,086,176
"""

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


def fused_mb_conv(
    x: keras.KerasTensor,
    expansion: int,
    filters: int,
    rate: float,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x32 -> 112x112x16 at `block1a`, the first of 5 uses."""
    in_channels = x.shape[-1]
    if expansion != 1:
        y = layers.Conv2D(
            expansion * in_channels,
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
            name=f"{name}_expand_conv",
        )(x)
        y = layers.BatchNormalization(
            momentum=0.9, epsilon=0.001, name=f"{name}_expand_bn"
        )(y)
        y = layers.Activation("silu", name=f"{name}_expand_activation")(y)
        y = layers.Conv2D(
            filters,
            1,
            use_bias=False,
            kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
            name=f"{name}_project_conv",
        )(y)
        y = layers.BatchNormalization(
            momentum=0.9, epsilon=0.001, name=f"{name}_project_bn"
        )(y)
    else:
        y = layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
            name=f"{name}_project_conv",
        )(x)
        y = layers.BatchNormalization(
            momentum=0.9, epsilon=0.001, name=f"{name}_project_bn"
        )(y)
        y = layers.Activation("silu", name=f"{name}_project_activation")(y)
    if in_channels == filters:
        y = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(y)
        y = layers.Add(name=f"{name}_add")([y, x])
    return y


def squeeze_excite(
    x: keras.KerasTensor, squeezed: int, *, name: str
) -> keras.KerasTensor:
    """14x14x192 -> 14x14x192 at `block4a.se`, the first of 16 uses."""
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
    filters: int,
    rate: float,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """28x28x48 -> 14x14x96 at `block4a`, the first of 16 uses."""
    in_channels = x.shape[-1]
    y = layers.Conv2D(
        expansion * in_channels,
        1,
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_expand_conv",
    )(x)
    y = layers.BatchNormalization(
        momentum=0.9, epsilon=0.001, name=f"{name}_expand_bn"
    )(y)
    y = layers.Activation("silu", name=f"{name}_expand_activation")(y)
    y = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_dwconv2",
    )(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=0.001, name=f"{name}_bn")(y)
    y = layers.Activation("silu", name=f"{name}_activation")(y)
    y = squeeze_excite(y, in_channels // 4, name=f"{name}_se")
    y = layers.Conv2D(
        filters,
        1,
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name=f"{name}_project_conv",
    )(y)
    y = layers.BatchNormalization(
        momentum=0.9, epsilon=0.001, name=f"{name}_project_bn"
    )(y)
    if in_channels == filters:
        y = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(y)
        y = layers.Add(name=f"{name}_add")([y, x])
    return y


def efficientnetv2b0(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """EfficientNetV2B0: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = ScaleShift(0.00392156862745098, name="scale_shift_1")(image)  # 224x224x3
    x = layers.Normalization(
        mean=(0.485, 0.456, 0.406),
        variance=(0.052441, 0.050176000000000005, 0.050625),
        name="normalize_1",
    )(x)
    x = layers.Conv2D(
        32,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name="stem_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=0.001, name="stem_bn")(x)
    x = layers.Activation("silu", name="stem_activation")(x)  # 112x112x32
    x = fused_mb_conv(x, 1, 16, 0.0, name="block1a")  # 112x112x16
    x = fused_mb_conv(x, 4, 32, 0.009523809523809525, stride=2, name="block2a")
    x = fused_mb_conv(x, 4, 32, 0.01904761904761905, name="block2b")  # 56x56x32
    x = fused_mb_conv(x, 4, 48, 0.028571428571428574, stride=2, name="block3a")
    x = fused_mb_conv(x, 4, 48, 0.0380952380952381, name="block3b")  # 28x28x48
    x = mb_conv(x, 4, 96, 0.047619047619047616, stride=2, name="block4a")  # 14x14x96
    x = mb_conv(x, 4, 96, 0.05714285714285715, name="block4b")  # 14x14x96
    x = mb_conv(x, 4, 96, 0.06666666666666668, name="block4c")  # 14x14x96
    x = mb_conv(x, 6, 112, 0.0761904761904762, name="block5a")  # 14x14x112
    x = mb_conv(x, 6, 112, 0.08571428571428572, name="block5b")  # 14x14x112
    x = mb_conv(x, 6, 112, 0.09523809523809523, name="block5c")  # 14x14x112
    x = mb_conv(x, 6, 112, 0.10476190476190476, name="block5d")  # 14x14x112
    x = mb_conv(x, 6, 112, 0.1142857142857143, name="block5e")  # 14x14x112
    x = mb_conv(x, 6, 192, 0.12380952380952381, stride=2, name="block6a")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.13333333333333336, name="block6b")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.14285714285714285, name="block6c")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.1523809523809524, name="block6d")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.1619047619047619, name="block6e")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.17142857142857143, name="block6f")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.18095238095238098, name="block6g")  # 7x7x192
    x = mb_conv(x, 6, 192, 0.19047619047619047, name="block6h")  # 7x7x192
    x = layers.Conv2D(
        1280,
        1,
        use_bias=False,
        kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT,
        name="top_conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=0.001, name="top_bn")(x)
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
    return keras.Model(image, x, name="efficientnetv2b0")
