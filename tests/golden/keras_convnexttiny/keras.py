"""ConvNeXtTiny, generated from convnext.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 28,589,128
Multiply-accumulates: 4,455,531,264
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


def conv_ne_xt_block(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """56x56x96 -> 56x56x96 at `convnext_tiny_stage_0.block_0`, the first of 18 uses."""
    in_channels = x.shape[-1]
    y = layers.DepthwiseConv2D(7, padding="same", name=f"{name}_depthwise_conv")(x)
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_layernorm")(y)
    y = layers.Dense(in_channels * 4, name=f"{name}_pointwise_conv_1")(y)
    y = layers.Activation(gelu, name=f"{name}_gelu")(y)
    y = layers.Dense(in_channels, name=f"{name}_pointwise_conv_2")(y)
    scale = LearnedParameter(
        (1, 1, in_channels),
        keras.initializers.Constant(1e-6),
        name=f"{name}_layer_scale",
    )(x)
    y = layers.Multiply(name=f"{name}_multiply_1")([scale, y])
    return layers.Add(name=f"{name}_add_1")([x, y])


def convnexttiny(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """ConvNeXtTiny: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.Normalization(
        mean=(123.675, 116.28, 103.53),
        variance=(3409.9760250000004, 3262.6944000000003, 3291.890625),
        name="convnext_tiny_prestem_normalization",
    )(image)
    x = layers.Conv2D(96, 4, strides=4, name="convnext_tiny_stem_conv")(x)  # 56x56x96
    x = layers.LayerNormalization(epsilon=1e-6, name="convnext_tiny_stem_layernorm")(x)
    for i in range(3):
        x = conv_ne_xt_block(x, name=f"convnext_tiny_stage_0_block_{i}")  # 56x56x96
    x = layers.LayerNormalization(
        epsilon=1e-6, name="convnext_tiny_downsampling_layernorm_0"
    )(x)
    x = layers.Conv2D(192, 2, strides=2, name="convnext_tiny_downsampling_conv_0")(x)
    for i in range(3):
        x = conv_ne_xt_block(x, name=f"convnext_tiny_stage_1_block_{i}")  # 28x28x192
    x = layers.LayerNormalization(
        epsilon=1e-6, name="convnext_tiny_downsampling_layernorm_1"
    )(x)
    x = layers.Conv2D(384, 2, strides=2, name="convnext_tiny_downsampling_conv_1")(x)
    for i in range(9):
        x = conv_ne_xt_block(x, name=f"convnext_tiny_stage_2_block_{i}")  # 14x14x384
    x = layers.LayerNormalization(
        epsilon=1e-6, name="convnext_tiny_downsampling_layernorm_2"
    )(x)
    x = layers.Conv2D(768, 2, strides=2, name="convnext_tiny_downsampling_conv_2")(x)
    for i in range(3):
        x = conv_ne_xt_block(x, name=f"convnext_tiny_stage_3_block_{i}")  # 7x7x768
    x = layers.GlobalAveragePooling2D(name="convnext_tiny_head_gap")(x)  # 768
    x = layers.LayerNormalization(epsilon=1e-6, name="convnext_tiny_head_layernorm")(x)
    x = layers.Dense(classes, name="convnext_tiny_head_dense")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="convnexttiny")
