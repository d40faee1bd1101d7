"""SqueezeNet1_1, generated from squeezenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 1,235,496
Multiply-accumulates: 349,151,936
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


def fire(
    x: keras.KerasTensor, squeezed: int, expanded: int, *, name: str
) -> keras.KerasTensor:
    """55x55x64 -> 55x55x128 at `features.3`, the first of 8 uses."""
    hidden = layers.Conv2D(squeezed, 1, name=f"{name}_squeeze")(x)
    hidden = layers.ReLU(name=f"{name}_relu_1")(hidden)
    expand1x1 = layers.Conv2D(expanded, 1, name=f"{name}_expand1x1")(hidden)
    expand1x1 = layers.ReLU(name=f"{name}_relu_2")(expand1x1)
    expand3x3 = layers.Conv2D(
        expanded,
        3,
        padding="same",
        name=f"{name}_expand3x3",
    )(hidden)
    expand3x3 = layers.ReLU(name=f"{name}_relu_3")(expand3x3)
    return layers.Concatenate(name=f"{name}_concat_1")([expand1x1, expand3x3])


def squeezenet1_1(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """SqueezeNet1_1: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(64, 3, strides=2, name="features_0")(image)  # 111x111x64
    x = layers.ReLU(name="features_1")(x)  # 111x111x64
    x = WindowPadding(
        (3, 3),
        strides=(2, 2),
        padding=((0, 0), (0, 0)),
        ceil_mode=True,
        lowest=True,
        name="features_2_pad",
    )(x)
    x = layers.MaxPooling2D(3, strides=2, name="features_2")(x)  # 55x55x64
    x = fire(x, 16, 64, name="features_3")  # 55x55x128
    x = fire(x, 16, 64, name="features_4")  # 55x55x128
    x = WindowPadding(
        (3, 3),
        strides=(2, 2),
        padding=((0, 0), (0, 0)),
        ceil_mode=True,
        lowest=True,
        name="features_5_pad",
    )(x)
    x = layers.MaxPooling2D(3, strides=2, name="features_5")(x)  # 27x27x128
    x = fire(x, 32, 128, name="features_6")  # 27x27x256
    x = fire(x, 32, 128, name="features_7")  # 27x27x256
    x = WindowPadding(
        (3, 3),
        strides=(2, 2),
        padding=((0, 0), (0, 0)),
        ceil_mode=True,
        lowest=True,
        name="features_8_pad",
    )(x)
    x = layers.MaxPooling2D(3, strides=2, name="features_8")(x)  # 13x13x256
    x = fire(x, 48, 192, name="features_9")  # 13x13x384
    x = fire(x, 48, 192, name="features_10")  # 13x13x384
    x = fire(x, 64, 256, name="features_11")  # 13x13x512
    x = fire(x, 64, 256, name="features_12")  # 13x13x512
    x = layers.Dropout(0.5, name="classifier_0")(x)  # 13x13x512
    x = layers.Conv2D(classes, 1, name="classifier_1")(x)  # 13x13x1000
    x = layers.ReLU(name="classifier_2")(x)  # 13x13x1000
    x = layers.GlobalAveragePooling2D(keepdims=True, name="classifier_3")(x)  # 1x1x1000
    x = layers.Flatten(name="flatten_1")(x)  # 1000
    return keras.Model(image, x, name="squeezenet1_1")
