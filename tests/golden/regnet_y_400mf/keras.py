"""RegNet_Y_400MF, generated from regnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 4,344,144
Multiply-accumulates: 401,842,848
"""

from collections.abc import Callable
from functools import partial

import keras
from keras import layers


def squeeze_excitation(
    x: keras.KerasTensor,
    squeezed: int,
    act: Callable[..., layers.Layer] = layers.ReLU,
    gate: Callable[..., layers.Layer] | None = None,
    *,
    name: str,
) -> keras.KerasTensor:
    """56x56x48 -> 56x56x48 at `trunk_output.block1.block1-0.f.se`, the first of
    16 uses.
    """
    if gate is None:
        gate = partial(layers.Activation, "sigmoid")
    in_channels = x.shape[-1]
    scale = layers.GlobalAveragePooling2D(
        keepdims=True, name=f"{name}_global_avg_pool_1"
    )(x)
    scale = layers.Conv2D(squeezed, 1, name=f"{name}_fc1")(scale)
    scale = act(name=f"{name}_act_1")(scale)
    scale = layers.Conv2D(in_channels, 1, name=f"{name}_fc2")(scale)
    scale = gate(name=f"{name}_gate_1")(scale)
    return layers.Multiply(name=f"{name}_multiply_1")([scale, x])


def res_bottleneck(
    x: keras.KerasTensor,
    width: int,
    group_width: int,
    squeeze: bool,
    stride: int = 1,
    *,
    name: str,
) -> keras.KerasTensor:
    """112x112x32 -> 56x56x48 at `trunk_output.block1.block1-0`, the first of 16
    uses.
    """
    in_channels = x.shape[-1]
    shortcut = x
    if stride != 1 or in_channels != width:
        shortcut = layers.Conv2D(
            width, 1, strides=stride, use_bias=False, name=f"{name}_proj_0"
        )(x)
        shortcut = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}_proj_1"
        )(shortcut)
    y = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_f_a_0")(x)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_f_a_1")(y)
    y = layers.ReLU(name=f"{name}_f_a_2")(y)
    y = layers.ZeroPadding2D(1, name=f"{name}_f_b_0_pad")(y)
    y = layers.Conv2D(
        width,
        3,
        strides=stride,
        groups=width // group_width,
        use_bias=False,
        name=f"{name}_f_b_0",
    )(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_f_b_1")(y)
    y = layers.ReLU(name=f"{name}_f_b_2")(y)
    if squeeze:
        y = squeeze_excitation(y, in_channels // 4, name=f"{name}_f_se")
    y = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_f_c_0")(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_f_c_1")(y)
    x = layers.Add(name=f"{name}_add_1")([shortcut, y])
    return layers.ReLU(name=f"{name}_relu_1")(x)


def regnet_y_400mf(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """RegNet_Y_400MF: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = layers.ZeroPadding2D(1, name="stem_0_pad")(image)
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="stem_0")(x)  # 112x112x32
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="stem_1")(x)
    x = layers.ReLU(name="stem_2")(x)  # 112x112x32
    x = res_bottleneck(x, 48, 8, True, stride=2, name="trunk_output_block1_block1-0")
    x = res_bottleneck(x, 104, 8, True, stride=2, name="trunk_output_block2_block2-0")
    x = res_bottleneck(x, 104, 8, True, name="trunk_output_block2_block2-1")
    x = res_bottleneck(x, 104, 8, True, name="trunk_output_block2_block2-2")
    x = res_bottleneck(x, 208, 8, True, stride=2, name="trunk_output_block3_block3-0")
    for i in range(1, 6):
        x = res_bottleneck(x, 208, 8, True, name=f"trunk_output_block3_block3-{i}")
    x = res_bottleneck(x, 440, 8, True, stride=2, name="trunk_output_block4_block4-0")
    for i in range(1, 6):
        x = res_bottleneck(x, 440, 8, True, name=f"trunk_output_block4_block4-{i}")
    x = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(x)  # 440
    x = layers.Dense(classes, name="fc")(x)  # 1000
    return keras.Model(image, x, name="regnet_y_400mf")
