"""MobileNet, generated from mobilenet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 4,231,976
Multiply-accumulates: 568,740,352
Compiled with alpha = 1.0
"""

import keras
from keras import layers


def mobilenet(classes: int = 1000) -> keras.Model:
    """MobileNet: 224x224x3 -> 1000."""
    image = keras.Input((224, 224, 3), name="image")
    x = layers.Conv2D(
        32,
        3,
        strides=2,
        padding="same",
        use_bias=False,
        name="conv1",
    )(image)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv1_bn")(x)
    x = layers.ReLU(6.0, name="conv1_relu")(x)  # 112x112x32
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_1")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_1_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_1_relu")(x)  # 112x112x32
    x = layers.Conv2D(64, 1, use_bias=False, name="conv_pw_1")(x)  # 112x112x64
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_1_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_1_relu")(x)  # 112x112x64
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv_dw_2_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="conv_dw_2")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_2_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_2_relu")(x)  # 56x56x64
    x = layers.Conv2D(128, 1, use_bias=False, name="conv_pw_2")(x)  # 56x56x128
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_2_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_2_relu")(x)  # 56x56x128
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_3")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_3_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_3_relu")(x)  # 56x56x128
    x = layers.Conv2D(128, 1, use_bias=False, name="conv_pw_3")(x)  # 56x56x128
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_3_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_3_relu")(x)  # 56x56x128
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv_dw_4_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="conv_dw_4")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_4_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_4_relu")(x)  # 28x28x128
    x = layers.Conv2D(256, 1, use_bias=False, name="conv_pw_4")(x)  # 28x28x256
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_4_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_4_relu")(x)  # 28x28x256
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_5")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_5_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_5_relu")(x)  # 28x28x256
    x = layers.Conv2D(256, 1, use_bias=False, name="conv_pw_5")(x)  # 28x28x256
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_5_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_5_relu")(x)  # 28x28x256
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv_dw_6_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="conv_dw_6")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_6_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_6_relu")(x)  # 14x14x256
    x = layers.Conv2D(512, 1, use_bias=False, name="conv_pw_6")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_6_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_6_relu")(x)  # 14x14x512
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_7")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_7_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_7_relu")(x)  # 14x14x512
    x = layers.Conv2D(512, 1, use_bias=False, name="conv_pw_7")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_7_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_7_relu")(x)  # 14x14x512
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_8")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_8_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_8_relu")(x)  # 14x14x512
    x = layers.Conv2D(512, 1, use_bias=False, name="conv_pw_8")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_8_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_8_relu")(x)  # 14x14x512
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_9")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_9_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_9_relu")(x)  # 14x14x512
    x = layers.Conv2D(512, 1, use_bias=False, name="conv_pw_9")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_9_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_9_relu")(x)  # 14x14x512
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_10")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_10_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_10_relu")(x)  # 14x14x512
    x = layers.Conv2D(512, 1, use_bias=False, name="conv_pw_10")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_10_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_10_relu")(x)  # 14x14x512
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_11")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_11_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_11_relu")(x)  # 14x14x512
    x = layers.Conv2D(512, 1, use_bias=False, name="conv_pw_11")(x)  # 14x14x512
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_11_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_11_relu")(x)  # 14x14x512
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv_dw_12_pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="conv_dw_12")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_12_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_12_relu")(x)  # 7x7x512
    x = layers.Conv2D(1024, 1, use_bias=False, name="conv_pw_12")(x)  # 7x7x1024
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_12_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_12_relu")(x)  # 7x7x1024
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_13")(x)
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_dw_13_bn")(x)
    x = layers.ReLU(6.0, name="conv_dw_13_relu")(x)  # 7x7x1024
    x = layers.Conv2D(1024, 1, use_bias=False, name="conv_pw_13")(x)  # 7x7x1024
    x = layers.BatchNormalization(momentum=0.99, epsilon=0.001, name="conv_pw_13_bn")(x)
    x = layers.ReLU(6.0, name="conv_pw_13_relu")(x)  # 7x7x1024
    x = layers.GlobalAveragePooling2D(keepdims=True, name="global_avg_pool_1")(x)
    x = layers.Dropout(0.001, name="dropout")(x)  # 1x1x1024
    x = layers.Conv2D(classes, 1, name="conv_preds")(x)  # 1x1x1000
    x = layers.Flatten(name="flatten_1")(x)  # 1000
    x = layers.Softmax(name="predictions")(x)  # 1000
    return keras.Model(image, x, name="mobilenet")
