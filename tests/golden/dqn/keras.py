"""DQN, generated from dqn.cnn by cnnspec 0.1.0.

Input: frames 84x84x4 (height x width x channels)
Output: output 18
Parameters: 1,693,362
Multiply-accumulates: 9,352,192
"""

import keras
from keras import layers


def dqn(actions: int = 18, *, input_size: tuple[int, int] = (84, 84)) -> keras.Model:
    """DQN: 84x84x4 -> 18."""
    frames = keras.Input((*input_size, 4), name="frames")
    x = layers.Conv2D(32, 8, strides=4, name="conv_1")(frames)  # 20x20x32
    x = layers.ReLU(name="relu_1")(x)  # 20x20x32
    x = layers.Conv2D(64, 4, strides=2, name="conv_2")(x)  # 9x9x64
    x = layers.ReLU(name="relu_2")(x)  # 9x9x64
    x = layers.Conv2D(64, 3, name="conv_3")(x)  # 7x7x64
    x = layers.ReLU(name="relu_3")(x)  # 7x7x64
    x = layers.Permute((3, 1, 2), name="flatten_1_permute")(x)
    x = layers.Flatten(name="flatten_1")(x)  # 3136
    x = layers.Dense(512, name="dense_1")(x)  # 512
    x = layers.ReLU(name="relu_4")(x)  # 512
    x = layers.Dense(actions, name="dense_2")(x)  # 18
    return keras.Model(frames, x, name="dqn")
