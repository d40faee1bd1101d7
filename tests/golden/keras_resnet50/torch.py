"""ResNet50, generated from resnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 25,583,592
Multiply-accumulates: 3,857,973,248
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """64x56x56 -> 256x56x56 at `conv2_block1`, the first of 16 uses."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        expanded = 4 * width
        self.with_conv = in_channels != expanded
        if in_channels != expanded:
            self.conv_0 = nn.Conv2d(in_channels, expanded, 1, stride=stride)
            self.bn_0 = nn.BatchNorm2d(expanded, eps=1.001e-5, momentum=0.01)
        self.conv_1 = nn.Conv2d(in_channels, width, 1, stride=stride)
        self.bn_1 = nn.BatchNorm2d(width, eps=1.001e-5, momentum=0.01)
        self.relu_1 = nn.ReLU(inplace=True)
        self.conv_2 = nn.Conv2d(width, width, 3, padding="same")
        self.bn_2 = nn.BatchNorm2d(width, eps=1.001e-5, momentum=0.01)
        self.relu_2 = nn.ReLU(inplace=True)
        self.conv_3 = nn.Conv2d(width, expanded, 1)
        self.bn_3 = nn.BatchNorm2d(expanded, eps=1.001e-5, momentum=0.01)
        self.out = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.with_conv:
            shortcut = self.bn_0(self.conv_0(x))
        y = self.relu_1(self.bn_1(self.conv_1(x)))
        y = self.relu_2(self.bn_2(self.conv_2(y)))
        y = self.bn_3(self.conv_3(y))
        return self.out(shortcut + y)


class ResNet50(nn.Module):
    """ResNet50: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1_conv = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.conv1_bn = nn.BatchNorm2d(64, eps=1.001e-5, momentum=0.01)
        self.conv1_relu = nn.ReLU(inplace=True)
        self.pool1_pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2_block1 = Bottleneck(64, 64)
        self.conv2_block2 = Bottleneck(256, 64)
        self.conv2_block3 = Bottleneck(256, 64)
        self.conv3_block1 = Bottleneck(256, 128, stride=2)
        self.conv3_block2 = Bottleneck(512, 128)
        self.conv3_block3 = Bottleneck(512, 128)
        self.conv3_block4 = Bottleneck(512, 128)
        self.conv4_block1 = Bottleneck(512, 256, stride=2)
        self.conv4_block2 = Bottleneck(1024, 256)
        self.conv4_block3 = Bottleneck(1024, 256)
        self.conv4_block4 = Bottleneck(1024, 256)
        self.conv4_block5 = Bottleneck(1024, 256)
        self.conv4_block6 = Bottleneck(1024, 256)
        self.conv5_block1 = Bottleneck(1024, 512, stride=2)
        self.conv5_block2 = Bottleneck(2048, 512)
        self.conv5_block3 = Bottleneck(2048, 512)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.predictions = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1_relu(self.conv1_bn(self.conv1_conv(image)))  # 64x112x112
        x = self.pool1_pool(x)  # 64x56x56
        x = self.conv2_block1(x)  # 256x56x56
        x = self.conv2_block2(x)  # 256x56x56
        x = self.conv2_block3(x)  # 256x56x56
        x = self.conv3_block1(x)  # 512x28x28
        x = self.conv3_block2(x)  # 512x28x28
        x = self.conv3_block3(x)  # 512x28x28
        x = self.conv3_block4(x)  # 512x28x28
        x = self.conv4_block1(x)  # 1024x14x14
        x = self.conv4_block2(x)  # 1024x14x14
        x = self.conv4_block3(x)  # 1024x14x14
        x = self.conv4_block4(x)  # 1024x14x14
        x = self.conv4_block5(x)  # 1024x14x14
        x = self.conv4_block6(x)  # 1024x14x14
        x = self.conv5_block1(x)  # 2048x7x7
        x = self.conv5_block2(x)  # 2048x7x7
        x = self.conv5_block3(x)  # 2048x7x7
        x = self.avg_pool(x)  # 2048x1x1
        x = torch.flatten(x, 1)  # 2048
        return F.softmax(self.predictions(x), dim=1)  # 1000
