"""ConvNeXt_Tiny, generated from convnext.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 28,589,128
Multiply-accumulates: 4,455,531,264
Compiled with drop_path = 0.1
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="cnnspec")
class LearnedParameter(layers.Layer):
    """A learned array, the same for every sample of the batch it is called on."""

    def __init__(
        self,
        shape: tuple[int, ...],
        initializer: str | keras.Initializer,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.value = self.add_weight(
            shape=self.shape, initializer=self.initializer, name="value"
        )

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.broadcast_to(self.value, (ops.shape(x)[0], *self.shape))

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "shape": self.shape,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="cnnspec")
def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Gaussian error linear unit."""
    return x * 0.5 * (ops.erf(x / 2**0.5) + 1.0)


def cn_block(x: keras.KerasTensor, rate: float, *, name: str) -> keras.KerasTensor:
    """56x56x96 -> 56x56x96 at `features.1.0`, the first of 18 uses."""
    in_channels = x.shape[-1]
    y = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_block_0")(x)
    y = layers.Identity(name=f"{name}_block_1")(y)
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_block_2")(y)
    y = layers.Dense(4 * in_channels, name=f"{name}_block_3")(y)
    y = layers.Activation(gelu, name=f"{name}_block_4")(y)
    y = layers.Dense(in_channels, name=f"{name}_block_5")(y)
    scale = LearnedParameter(
        (1, 1, in_channels),
        keras.initializers.Constant(1e-6),
        name=f"{name}_layer_scale",
    )(x)
    y = layers.Multiply(name=f"{name}_multiply_1")([scale, y])
    y = layers.Dropout(
        rate, noise_shape=(None, 1, 1, 1), name=f"{name}_stochastic_depth_1"
    )(y)
    return layers.Add(name=f"{name}_add_1")([x, y])


def convnext_tiny(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ConvNeXt_Tiny: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Conv2D(96, 4, strides=4, name="features_0_0")(image)  # 56x56x96
    x = layers.LayerNormalization(epsilon=1e-6, name="features_0_1")(x)  # 56x56x96
    x = cn_block(x, 0.0, name="features_1_0")  # 56x56x96
    x = cn_block(x, 0.1 / 17, name="features_1_1")  # 56x56x96
    x = cn_block(x, 0.1 * 2 / 17, name="features_1_2")  # 56x56x96
    x = layers.LayerNormalization(epsilon=1e-6, name="features_2_0")(x)  # 56x56x96
    x = layers.Conv2D(192, 2, strides=2, name="features_2_1")(x)  # 28x28x192
    x = cn_block(x, 0.1 * 3 / 17, name="features_3_0")  # 28x28x192
    x = cn_block(x, 0.1 * 4 / 17, name="features_3_1")  # 28x28x192
    x = cn_block(x, 0.1 * 5 / 17, name="features_3_2")  # 28x28x192
    x = layers.LayerNormalization(epsilon=1e-6, name="features_4_0")(x)  # 28x28x192
    x = layers.Conv2D(384, 2, strides=2, name="features_4_1")(x)  # 14x14x384
    x = cn_block(x, 0.1 * 6 / 17, name="features_5_0")  # 14x14x384
    x = cn_block(x, 0.1 * 7 / 17, name="features_5_1")  # 14x14x384
    x = cn_block(x, 0.1 * 8 / 17, name="features_5_2")  # 14x14x384
    x = cn_block(x, 0.1 * 9 / 17, name="features_5_3")  # 14x14x384
    x = cn_block(x, 1 / 17, name="features_5_4")  # 14x14x384
    x = cn_block(x, 0.1 * 11 / 17, name="features_5_5")  # 14x14x384
    x = cn_block(x, 0.1 * 12 / 17, name="features_5_6")  # 14x14x384
    x = cn_block(x, 0.1 * 13 / 17, name="features_5_7")  # 14x14x384
    x = cn_block(x, 0.1 * 14 / 17, name="features_5_8")  # 14x14x384
    x = layers.LayerNormalization(epsilon=1e-6, name="features_6_0")(x)  # 14x14x384
    x = layers.Conv2D(768, 2, strides=2, name="features_6_1")(x)  # 7x7x768
    x = cn_block(x, 0.1 * 15 / 17, name="features_7_0")  # 7x7x768
    x = cn_block(x, 0.1 * 16 / 17, name="features_7_1")  # 7x7x768
    x = cn_block(x, 0.1, name="features_7_2")  # 7x7x768
    x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(x)  # 1x1x768
    x = layers.LayerNormalization(epsilon=1e-6, name="classifier_0")(x)  # 1x1x768
    x = layers.Flatten(name="classifier_1")(x)  # 768
    x = layers.Dense(classes, name="classifier_2")(x)  # 1000
    return keras.Model(image, x, name="convnext_tiny")
