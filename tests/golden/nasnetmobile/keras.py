"""NASNetMobile, generated from nasnet.cnn by cnnspec 0.1.0.

Input: image 224x224x3 (height x width x channels)
Output: output 1000
Parameters: 5,289,978
Multiply-accumulates: 563,638,816
"""

import keras
from keras import layers

# No objects, since one would draw the same values for all weights of one shape.
HE_NORMAL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"},
}


def separable(
    x: keras.KerasTensor, width: int, kernel: int, stride: int = 1, *, name: str
) -> keras.KerasTensor:
    """111x111x11 -> 56x56x11 at `stem_1.reduction_left1`, the first of 80 uses."""
    x = layers.ReLU(name=f"{name}_relu_1")(x)
    x = layers.SeparableConv2D(
        width,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        name=f"{name}_separable_conv_1",
    )(x)
    x = layers.BatchNormalization(
        momentum=0.9997, epsilon=0.001, name=f"{name}_separable_conv_1_bn"
    )(x)
    x = layers.ReLU(name=f"{name}_relu_2")(x)
    x = layers.SeparableConv2D(
        width, kernel, padding="same", use_bias=False, name=f"{name}_separable_conv_2"
    )(x)
    return layers.BatchNormalization(
        momentum=0.9997, epsilon=0.001, name=f"{name}_separable_conv_2_bn"
    )(x)


def reduction_cell(
    x: keras.KerasTensor,
    p: keras.KerasTensor,
    width: int,
    reduction_pad: int = 0,
    *,
    name: str,
) -> keras.KerasTensor:
    """111x111x32, 111x111x32 -> 56x56x44 at `stem_1`, the first of 4 uses."""
    h = layers.ReLU(name=f"{name}_relu_1")(x)
    h = layers.Conv2D(
        width,
        1,
        use_bias=False,
        kernel_initializer=HE_NORMAL,
        name=f"{name}_reduction_conv_1",
    )(h)
    h = layers.BatchNormalization(
        momentum=0.9997, epsilon=0.001, name=f"{name}_reduction_bn_1"
    )(h)
    padded = layers.ZeroPadding2D(
        ((reduction_pad, 1), (reduction_pad, 1)), name=f"{name}_reduction_pad_1"
    )(h)
    reduction_left1 = separable(h, width, 5, stride=2, name=f"{name}_reduction_left1")
    reduction_right1 = separable(p, width, 7, stride=2, name=f"{name}_reduction_right1")
    x1 = layers.Add(name=f"{name}_add_1")([reduction_left1, reduction_right1])
    reduction_left2 = layers.MaxPooling2D(
        3,
        strides=2,
        name=f"{name}_reduction_left2",
    )(padded)
    reduction_right2 = separable(p, width, 7, stride=2, name=f"{name}_reduction_right2")
    x2 = layers.Add(name=f"{name}_add_2")([reduction_left2, reduction_right2])
    reduction_left3 = layers.AveragePooling2D(
        3, strides=2, name=f"{name}_reduction_left3"
    )(padded)
    reduction_right3 = separable(p, width, 5, stride=2, name=f"{name}_reduction_right3")
    x3 = layers.Add(name=f"{name}_add_3")([reduction_left3, reduction_right3])
    reduction_average4 = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"{name}_reduction_average4"
    )(x1)
    x4 = layers.Add(name=f"{name}_add_4")([x2, reduction_average4])
    reduction_left4 = separable(x1, width, 3, name=f"{name}_reduction_left4")
    reduction_right5 = layers.MaxPooling2D(
        3, strides=2, name=f"{name}_reduction_right5"
    )(padded)
    x5 = layers.Add(name=f"{name}_add_5")([reduction_left4, reduction_right5])
    return layers.Concatenate(name=f"{name}_concat_1")([x2, x3, x4, x5])


def adjust(
    x: keras.KerasTensor,
    earlier: keras.KerasTensor,
    width: int,
    with_avg_pool: bool = False,
    *,
    name: str,
) -> keras.KerasTensor:
    """56x56x44, 111x111x32 -> 56x56x22 at `adjust_stem_2`, the first of 15 uses."""
    if with_avg_pool:
        y = layers.ReLU(name=f"{name}_relu_1")(earlier)
        x = layers.AveragePooling2D(1, strides=2, name=f"{name}_avg_pool_1")(y)
        x = layers.Conv2D(
            width // 2,
            1,
            use_bias=False,
            kernel_initializer=HE_NORMAL,
            name=f"{name}_conv_1",
        )(x)
        y = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad_1")(y)
        y = layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop_1")(y)
        y = layers.AveragePooling2D(1, strides=2, name=f"{name}_avg_pool_2")(y)
        y = layers.Conv2D(
            width // 2,
            1,
            use_bias=False,
            kernel_initializer=HE_NORMAL,
            name=f"{name}_conv_2",
        )(y)
        y = layers.Concatenate(name=f"{name}_concat_1")([x, y])
        y = layers.BatchNormalization(
            momentum=0.9997, epsilon=0.001, name=f"{name}_bn"
        )(y)
    else:
        y = layers.ReLU(name=f"{name}_relu_1")(earlier)
        y = layers.Conv2D(
            width,
            1,
            use_bias=False,
            kernel_initializer=HE_NORMAL,
            name=f"{name}_conv_projection",
        )(y)
        y = layers.BatchNormalization(
            momentum=0.9997, epsilon=0.001, name=f"{name}_bn"
        )(y)
    return y


def normal_cell(
    x: keras.KerasTensor, p: keras.KerasTensor, width: int, *, name: str
) -> keras.KerasTensor:
    """28x28x88, 28x28x44 -> 28x28x264 at `normal_0`, the first of 12 uses."""
    h = layers.ReLU(name=f"{name}_relu_1")(x)
    h = layers.Conv2D(
        width, 1, use_bias=False, kernel_initializer=HE_NORMAL, name=f"{name}_conv_1"
    )(h)
    h = layers.BatchNormalization(
        momentum=0.9997,
        epsilon=0.001,
        name=f"{name}_bn_1",
    )(h)
    left1 = separable(h, width, 5, name=f"{name}_left1")
    right1 = separable(p, width, 3, name=f"{name}_right1")
    x = layers.Add(name=f"{name}_add_1")([left1, right1])
    left2 = separable(p, width, 5, name=f"{name}_left2")
    right2 = separable(p, width, 3, name=f"{name}_right2")
    y = layers.Add(name=f"{name}_add_2")([left2, right2])
    left3 = layers.AveragePooling2D(
        3,
        strides=1,
        padding="same",
        name=f"{name}_left3",
    )(h)
    z = layers.Add(name=f"{name}_add_3")([left3, p])
    left4 = layers.AveragePooling2D(
        3,
        strides=1,
        padding="same",
        name=f"{name}_left4",
    )(p)
    right4 = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"{name}_right4"
    )(p)
    x2 = layers.Add(name=f"{name}_add_4")([left4, right4])
    left5 = separable(h, width, 3, name=f"{name}_left5")
    x3 = layers.Add(name=f"{name}_add_5")([left5, h])
    return layers.Concatenate(name=f"{name}_concat_1")([p, x, y, z, x2, x3])


def nasnetmobile(
    classes: int = 1000, *, input_size: tuple[int, int] = (224, 224)
) -> keras.Model:
    """NASNetMobile: 224x224x3 -> 1000."""
    image = keras.Input((*input_size, 3), name="image")
    first = layers.Conv2D(
        32,
        3,
        strides=2,
        use_bias=False,
        kernel_initializer=HE_NORMAL,
        name="stem_conv1",
    )(image)
    first = layers.BatchNormalization(
        momentum=0.9997,
        epsilon=0.001,
        name="stem_bn1",
    )(first)
    before = reduction_cell(first, first, 11, reduction_pad=1, name="stem_1")
    adjust_stem_2 = adjust(before, first, 22, with_avg_pool=True, name="adjust_stem_2")
    x = reduction_cell(before, adjust_stem_2, 22, name="stem_2")  # 28x28x88
    adjust_0 = adjust(x, before, 44, with_avg_pool=True, name="adjust_0")  # 28x28x44
    y = normal_cell(x, adjust_0, 44, name="normal_0")  # 28x28x264
    adjust_1 = adjust(y, x, 44, name="adjust_1")  # 28x28x44
    x = normal_cell(y, adjust_1, 44, name="normal_1")  # 28x28x264
    adjust_2 = adjust(x, y, 44, name="adjust_2")  # 28x28x44
    y = normal_cell(x, adjust_2, 44, name="normal_2")  # 28x28x264
    adjust_3 = adjust(y, x, 44, name="adjust_3")  # 28x28x44
    x = normal_cell(y, adjust_3, 44, name="normal_3")  # 28x28x264
    adjust_reduce_4 = adjust(x, y, 88, name="adjust_reduce_4")  # 28x28x88
    reduced = reduction_cell(x, adjust_reduce_4, 88, name="reduce_4")  # 14x14x352
    adjust_5 = adjust(reduced, x, 88, with_avg_pool=True, name="adjust_5")  # 14x14x88
    y = normal_cell(reduced, adjust_5, 88, name="normal_5")  # 14x14x528
    adjust_6 = adjust(y, reduced, 88, name="adjust_6")  # 14x14x88
    x = normal_cell(y, adjust_6, 88, name="normal_6")  # 14x14x528
    adjust_7 = adjust(x, y, 88, name="adjust_7")  # 14x14x88
    y = normal_cell(x, adjust_7, 88, name="normal_7")  # 14x14x528
    adjust_8 = adjust(y, x, 88, name="adjust_8")  # 14x14x88
    x = normal_cell(y, adjust_8, 88, name="normal_8")  # 14x14x528
    adjust_reduce_8 = adjust(x, y, 176, name="adjust_reduce_8")  # 14x14x176
    reduced = reduction_cell(x, adjust_reduce_8, 176, name="reduce_8")  # 7x7x704
    adjust_9 = adjust(reduced, x, 176, with_avg_pool=True, name="adjust_9")  # 7x7x176
    y = normal_cell(reduced, adjust_9, 176, name="normal_9")  # 7x7x1056
    adjust_10 = adjust(y, reduced, 176, name="adjust_10")  # 7x7x176
    x = normal_cell(y, adjust_10, 176, name="normal_10")  # 7x7x1056
    adjust_11 = adjust(x, y, 176, name="adjust_11")  # 7x7x176
    y = normal_cell(x, adjust_11, 176, name="normal_11")  # 7x7x1056
    adjust_12 = adjust(y, x, 176, name="adjust_12")  # 7x7x176
    y = normal_cell(y, adjust_12, 176, name="normal_12")  # 7x7x1056
    y = layers.ReLU(name="relu_1")(y)  # 7x7x1056
    y = layers.GlobalAveragePooling2D(name="global_avg_pool_1")(y)  # 1056
    y = layers.Dense(classes, name="predictions")(y)  # 1000
    y = layers.Softmax(name="softmax_1")(y)  # 1000
    return keras.Model(image, y, name="nasnetmobile")
