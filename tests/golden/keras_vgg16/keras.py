"""VGG16, generated from vgg.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 138,357,544
Multiply-accumulates: 15,470,264,320
"""

import keras
from keras import layers


def stage(
    x: keras.KerasTensor, width: int, depth: int, *, name: str
) -> keras.KerasTensor:
    """224x224x3 -> 112x112x64 at `block1`, the first of 5 uses."""
    for i in range(1, depth + 1):
        x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv{i}")(x)
        x = layers.ReLU(name=f"{name}_relu_{i}")(x)
    return layers.MaxPooling2D(2, name=f"{name}_pool")(x)


def vgg16(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """VGG16: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    x = stage(image, 64, 2, name="block1")  # 112x112x64
    x = stage(x, 128, 2, name="block2")  # 56x56x128
    x = stage(x, 256, 3, name="block3")  # 28x28x256
    x = stage(x, 512, 3, name="block4")  # 14x14x512
    x = stage(x, 512, 3, name="block5")  # 7x7x512
    x = layers.Flatten(name="flatten")(x)  # 25088
    x = layers.Dense(4096, name="fc1")(x)  # 4096
    x = layers.ReLU(name="relu_1")(x)  # 4096
    x = layers.Dense(4096, name="fc2")(x)  # 4096
    x = layers.ReLU(name="relu_2")(x)  # 4096
    x = layers.Dense(classes, name="predictions")(x)  # 1000
    x = layers.Softmax(name="softmax_1")(x)  # 1000
    return keras.Model(image, x, name="vgg16")
