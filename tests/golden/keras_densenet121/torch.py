"""DenseNet121, generated from densenet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 7,978,856
Multiply-accumulates: 2,834,161,664
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """64x56x56 -> 96x56x56 at `conv2_block1`, the first of 58 uses."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bn_0 = nn.BatchNorm2d(in_channels, eps=1.001e-5, momentum=0.01)
        self.relu_0 = nn.ReLU(inplace=True)
        self.conv_1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.bn_1 = nn.BatchNorm2d(4 * growth, eps=1.001e-5, momentum=0.01)
        self.relu_1 = nn.ReLU(inplace=True)
        self.conv_2 = nn.Conv2d(4 * growth, growth, 3, padding="same", bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu_0(self.bn_0(x))
        y = self.relu_1(self.bn_1(self.conv_1(y)))
        y = self.conv_2(y)
        return torch.cat((x, y), dim=1)


class Transition(nn.Module):
    """256x56x56 -> 128x28x28 at `pool2`, the first of 3 uses."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels, eps=1.001e-5, momentum=0.01)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(x))
        x = self.conv(x)
        return self.pool(x)


class DenseNet121(nn.Module):
    """DenseNet121: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1_conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.conv1_bn = nn.BatchNorm2d(64, eps=1.001e-5, momentum=0.01)
        self.conv1_relu = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2_block1 = DenseLayer(64, 32)
        self.conv2_block2 = DenseLayer(96, 32)
        self.conv2_block3 = DenseLayer(128, 32)
        self.conv2_block4 = DenseLayer(160, 32)
        self.conv2_block5 = DenseLayer(192, 32)
        self.conv2_block6 = DenseLayer(224, 32)
        self.pool2 = Transition(256)
        self.conv3_block1 = DenseLayer(128, 32)
        self.conv3_block2 = DenseLayer(160, 32)
        self.conv3_block3 = DenseLayer(192, 32)
        self.conv3_block4 = DenseLayer(224, 32)
        self.conv3_block5 = DenseLayer(256, 32)
        self.conv3_block6 = DenseLayer(288, 32)
        self.conv3_block7 = DenseLayer(320, 32)
        self.conv3_block8 = DenseLayer(352, 32)
        self.conv3_block9 = DenseLayer(384, 32)
        self.conv3_block10 = DenseLayer(416, 32)
        self.conv3_block11 = DenseLayer(448, 32)
        self.conv3_block12 = DenseLayer(480, 32)
        self.pool3 = Transition(512)
        self.conv4_block1 = DenseLayer(256, 32)
        self.conv4_block2 = DenseLayer(288, 32)
        self.conv4_block3 = DenseLayer(320, 32)
        self.conv4_block4 = DenseLayer(352, 32)
        self.conv4_block5 = DenseLayer(384, 32)
        self.conv4_block6 = DenseLayer(416, 32)
        self.conv4_block7 = DenseLayer(448, 32)
        self.conv4_block8 = DenseLayer(480, 32)
        self.conv4_block9 = DenseLayer(512, 32)
        self.conv4_block10 = DenseLayer(544, 32)
        self.conv4_block11 = DenseLayer(576, 32)
        self.conv4_block12 = DenseLayer(608, 32)
        self.conv4_block13 = DenseLayer(640, 32)
        self.conv4_block14 = DenseLayer(672, 32)
        self.conv4_block15 = DenseLayer(704, 32)
        self.conv4_block16 = DenseLayer(736, 32)
        self.conv4_block17 = DenseLayer(768, 32)
        self.conv4_block18 = DenseLayer(800, 32)
        self.conv4_block19 = DenseLayer(832, 32)
        self.conv4_block20 = DenseLayer(864, 32)
        self.conv4_block21 = DenseLayer(896, 32)
        self.conv4_block22 = DenseLayer(928, 32)
        self.conv4_block23 = DenseLayer(960, 32)
        self.conv4_block24 = DenseLayer(992, 32)
        self.pool4 = Transition(1024)
        self.conv5_block1 = DenseLayer(512, 32)
        self.conv5_block2 = DenseLayer(544, 32)
        self.conv5_block3 = DenseLayer(576, 32)
        self.conv5_block4 = DenseLayer(608, 32)
        self.conv5_block5 = DenseLayer(640, 32)
        self.conv5_block6 = DenseLayer(672, 32)
        self.conv5_block7 = DenseLayer(704, 32)
        self.conv5_block8 = DenseLayer(736, 32)
        self.conv5_block9 = DenseLayer(768, 32)
        self.conv5_block10 = DenseLayer(800, 32)
        self.conv5_block11 = DenseLayer(832, 32)
        self.conv5_block12 = DenseLayer(864, 32)
        self.conv5_block13 = DenseLayer(896, 32)
        self.conv5_block14 = DenseLayer(928, 32)
        self.conv5_block15 = DenseLayer(960, 32)
        self.conv5_block16 = DenseLayer(992, 32)
        self.bn = nn.BatchNorm2d(1024, eps=1.001e-5, momentum=0.01)
        self.relu = nn.ReLU(inplace=True)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.predictions = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1_relu(self.conv1_bn(self.conv1_conv(image)))  # 64x112x112
        x = self.pool1(x)  # 64x56x56
        x = self.conv2_block1(x)  # 96x56x56
        x = self.conv2_block2(x)  # 128x56x56
        x = self.conv2_block3(x)  # 160x56x56
        x = self.conv2_block4(x)  # 192x56x56
        x = self.conv2_block5(x)  # 224x56x56
        x = self.conv2_block6(x)  # 256x56x56
        x = self.pool2(x)  # 128x28x28
        x = self.conv3_block1(x)  # 160x28x28
        x = self.conv3_block2(x)  # 192x28x28
        x = self.conv3_block3(x)  # 224x28x28
        x = self.conv3_block4(x)  # 256x28x28
        x = self.conv3_block5(x)  # 288x28x28
        x = self.conv3_block6(x)  # 320x28x28
        x = self.conv3_block7(x)  # 352x28x28
        x = self.conv3_block8(x)  # 384x28x28
        x = self.conv3_block9(x)  # 416x28x28
        x = self.conv3_block10(x)  # 448x28x28
        x = self.conv3_block11(x)  # 480x28x28
        x = self.conv3_block12(x)  # 512x28x28
        x = self.pool3(x)  # 256x14x14
        x = self.conv4_block1(x)  # 288x14x14
        x = self.conv4_block2(x)  # 320x14x14
        x = self.conv4_block3(x)  # 352x14x14
        x = self.conv4_block4(x)  # 384x14x14
        x = self.conv4_block5(x)  # 416x14x14
        x = self.conv4_block6(x)  # 448x14x14
        x = self.conv4_block7(x)  # 480x14x14
        x = self.conv4_block8(x)  # 512x14x14
        x = self.conv4_block9(x)  # 544x14x14
        x = self.conv4_block10(x)  # 576x14x14
        x = self.conv4_block11(x)  # 608x14x14
        x = self.conv4_block12(x)  # 640x14x14
        x = self.conv4_block13(x)  # 672x14x14
        x = self.conv4_block14(x)  # 704x14x14
        x = self.conv4_block15(x)  # 736x14x14
        x = self.conv4_block16(x)  # 768x14x14
        x = self.conv4_block17(x)  # 800x14x14
        x = self.conv4_block18(x)  # 832x14x14
        x = self.conv4_block19(x)  # 864x14x14
        x = self.conv4_block20(x)  # 896x14x14
        x = self.conv4_block21(x)  # 928x14x14
        x = self.conv4_block22(x)  # 960x14x14
        x = self.conv4_block23(x)  # 992x14x14
        x = self.conv4_block24(x)  # 1024x14x14
        x = self.pool4(x)  # 512x7x7
        x = self.conv5_block1(x)  # 544x7x7
        x = self.conv5_block2(x)  # 576x7x7
        x = self.conv5_block3(x)  # 608x7x7
        x = self.conv5_block4(x)  # 640x7x7
        x = self.conv5_block5(x)  # 672x7x7
        x = self.conv5_block6(x)  # 704x7x7
        x = self.conv5_block7(x)  # 736x7x7
        x = self.conv5_block8(x)  # 768x7x7
        x = self.conv5_block9(x)  # 800x7x7
        x = self.conv5_block10(x)  # 832x7x7
        x = self.conv5_block11(x)  # 864x7x7
        x = self.conv5_block12(x)  # 896x7x7
        x = self.conv5_block13(x)  # 928x7x7
        x = self.conv5_block14(x)  # 960x7x7
        x = self.conv5_block15(x)  # 992x7x7
        x = self.relu(self.bn(self.conv5_block16(x)))  # 1024x7x7
        x = self.avg_pool(x)  # 1024x1x1
        x = torch.flatten(x, 1)  # 1024
        return F.softmax(self.predictions(x), dim=1)  # 1000
