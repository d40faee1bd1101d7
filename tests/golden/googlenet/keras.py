"""GoogLeNet, generated from googlenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: logits 1000
Parameters: 6,624,904
Multiply-accumulates: 1,498,376,192
Compiled with auxiliary_heads = False
"""

import keras
from keras import layers, ops


def window_padding(
    x: keras.KerasTensor,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str | tuple[tuple[int, int], ...],
    ceil_mode: bool,
) -> list[tuple[int, int]]:
    """Padding before and after along each axis, for the size of the map.

    "same" is for ``ceil(size / stride)`` windows, the odd row behind.  `ceil_mode` adds
    rows that complete a last window which begins in the map.
    """
    pairs = []
    for axis, (reach, stride) in enumerate(zip(window, strides)):
        size = x.shape[axis + 1]
        if padding == "same":
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            before, after = total // 2, total - total // 2
        else:
            before, after = padding[axis]
        if ceil_mode:
            last = -(-(size + before + after - reach) // stride) * stride
            if last >= size + before:
                last -= stride
            after = max(last + reach - size - before, after)
        pairs.append((before, after))
    return pairs


@keras.saving.register_keras_serializable(package="cnnspec")
class WindowPadding(layers.Layer):
    """Pads a map with zeros, or the `lowest` value, as a window needs it."""

    def __init__(
        self,
        window: tuple[int, ...],
        *,
        strides: tuple[int, ...],
        padding: str | tuple[tuple[int, int], ...],
        ceil_mode: bool = False,
        lowest: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.window = tuple(window)
        self.strides = tuple(strides)
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.lowest = lowest

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        pairs = window_padding(
            x, self.window, self.strides, self.padding, self.ceil_mode
        )
        value = float("-inf") if self.lowest else 0.0
        return ops.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=value)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "window": self.window,
            "strides": self.strides,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
            "lowest": self.lowest,
        }


def basic_conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int = 1,
    stride: int = 1,
    pad: int = 0,
    *,
    name: str,
) -> keras.KerasTensor:
    """224x224x3 -> 112x112x64 at `conv1`, the first of 57 uses."""
    x = layers.ZeroPadding2D(pad, name=f"{name}_conv_pad")(x)
    x = layers.Conv2D(
        filters, kernel, strides=stride, use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=0.001, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu_1")(x)


def inception(
    x: keras.KerasTensor,
    narrow: int,
    reduced3: int,
    wide3: int,
    reduced5: int,
    wide5: int,
    pooled: int,
    *,
    name: str,
) -> keras.KerasTensor:
    """28x28x192 -> 28x28x256 at `inception3a`, the first of 9 uses."""
    branch1 = basic_conv(x, narrow, name=f"{name}_branch1")
    branch2 = basic_conv(x, reduced3, name=f"{name}_branch2_0")
    branch2 = basic_conv(branch2, wide3, kernel=3, pad=1, name=f"{name}_branch2_1")
    branch3 = basic_conv(x, reduced5, name=f"{name}_branch3_0")
    branch3 = basic_conv(branch3, wide5, kernel=3, pad=1, name=f"{name}_branch3_1")
    branch4 = layers.MaxPooling2D(
        3, strides=1, padding="same", name=f"{name}_branch4_0"
    )(x)
    branch4 = basic_conv(branch4, pooled, name=f"{name}_branch4_1")
    return layers.Concatenate(
        name=f"{name}_concat_1",
    )([branch1, branch2, branch3, branch4])


def googlenet(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """GoogLeNet: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    early = basic_conv(image, 64, kernel=7, stride=2, pad=3, name="conv1")  # 112x112x64
    early = WindowPadding(
        (3, 3),
        strides=(2, 2),
        padding=((0, 0), (0, 0)),
        ceil_mode=True,
        lowest=True,
        name="maxpool1_pad",
    )(early)
    early = layers.MaxPooling2D(3, strides=2, name="maxpool1")(early)  # 56x56x64
    early = basic_conv(early, 64, name="conv2")  # 56x56x64
    early = basic_conv(early, 192, kernel=3, pad=1, name="conv3")  # 56x56x192
    early = WindowPadding(
        (3, 3),
        strides=(2, 2),
        padding=((0, 0), (0, 0)),
        ceil_mode=True,
        lowest=True,
        name="maxpool2_pad",
    )(early)
    early = layers.MaxPooling2D(3, strides=2, name="maxpool2")(early)  # 28x28x192
    early = inception(early, 64, 96, 128, 16, 32, 32, name="inception3a")  # 28x28x256
    early = inception(early, 128, 128, 192, 32, 96, 64, name="inception3b")  # 28x28x480
    early = WindowPadding(
        (3, 3),
        strides=(2, 2),
        padding=((0, 0), (0, 0)),
        ceil_mode=True,
        lowest=True,
        name="maxpool3_pad",
    )(early)
    early = layers.MaxPooling2D(3, strides=2, name="maxpool3")(early)  # 14x14x480
    early = inception(early, 192, 96, 208, 16, 48, 64, name="inception4a")  # 14x14x512
    middle = inception(early, 160, 112, 224, 24, 64, 64, name="inception4b")
    middle = inception(middle, 128, 128, 256, 24, 64, 64, name="inception4c")
    middle = inception(middle, 112, 144, 288, 32, 64, 64, name="inception4d")
    logits = inception(middle, 256, 160, 320, 32, 128, 128, name="inception4e")
    logits = layers.MaxPooling2D(2, padding="same", name="maxpool4")(logits)  # 7x7x832
    logits = inception(logits, 256, 160, 320, 32, 128, 128, name="inception5a")
    logits = inception(logits, 384, 192, 384, 48, 128, 128, name="inception5b")
    logits = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(logits)  # 1024
    logits = layers.Dropout(0.2, name="dropout_1")(logits)  # 1024
    logits = layers.Dense(classes, name="fc")(logits)  # 1000
    return keras.Model(image, logits, name="googlenet")
