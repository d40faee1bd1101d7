"""UNet, generated from unet.cnn by cnnspec 0.1.0.

Input: image 256x256x1 (height x width x channels)
Output: mask 256x256x2
Parameters: 31,030,658
Multiply-accumulates: 48,096,083,968
"""

import keras
from keras import layers


def double_conv(x: keras.KerasTensor, width: int, *, name: str) -> keras.KerasTensor:
    """256x256x1 -> 256x256x64 at `down1`, the first of 9 uses."""
    x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv1")(x)
    x = layers.ReLU(name=f"{name}_relu_1")(x)
    x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv2")(x)
    return layers.ReLU(name=f"{name}_relu_2")(x)


def up(
    x: keras.KerasTensor, bridge: keras.KerasTensor, *, name: str
) -> keras.KerasTensor:
    """16x16x1024, 32x32x512 -> 32x32x512 at `up4`, the first of 4 uses."""
    bridge_channels = bridge.shape[-1]
    raised = layers.Conv2DTranspose(bridge_channels, 2, strides=2, name=f"{name}_up")(x)
    x = layers.Concatenate(name=f"{name}_concat_1")([bridge, raised])
    return double_conv(x, bridge_channels, name=f"{name}_merge")


def unet(classes: int = 2, *, input_size: tuple[int, int] = (256, 256)) -> keras.Model:
    """UNet: 256x256x1 -> 256x256x2."""
    image = keras.Input((*input_size, 1), name="image")
    full = double_conv(image, 64, name="down1")  # 256x256x64
    half = layers.MaxPooling2D(2, name="max_pool_1")(full)  # 128x128x64
    half = double_conv(half, 128, name="down2")  # 128x128x128
    quarter = layers.MaxPooling2D(2, name="max_pool_2")(half)  # 64x64x128
    quarter = double_conv(quarter, 256, name="down3")  # 64x64x256
    eighth = layers.MaxPooling2D(2, name="max_pool_3")(quarter)  # 32x32x256
    eighth = double_conv(eighth, 512, name="down4")  # 32x32x512
    bottom = layers.MaxPooling2D(2, name="max_pool_4")(eighth)  # 16x16x512
    bottom = double_conv(bottom, 1024, name="down5")  # 16x16x1024
    x = up(bottom, eighth, name="up4")  # 32x32x512
    x = up(x, quarter, name="up3")  # 64x64x256
    x = up(x, half, name="up2")  # 128x128x128
    x = up(x, full, name="up1")  # 256x256x64
    mask = layers.Conv2D(classes, 1, name="score")(x)  # 256x256x2
    return keras.Model(image, mask, name="unet")
