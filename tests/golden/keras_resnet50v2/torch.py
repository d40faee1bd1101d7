"""ResNet50V2, generated from resnet_v2.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 25,568,360
Multiply-accumulates: 3,482,255,360
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
        self.preact_bn = nn.BatchNorm2d(in_channels, eps=1.001e-5, momentum=0.01)
        self.preact_relu = nn.ReLU(inplace=True)
        if in_channels != expanded:
            self.conv_0 = nn.Conv2d(in_channels, expanded, 1, stride=stride)
        else:
            self.max_pool_1: nn.MaxPool2d | None = None
            if stride > 1:
                self.max_pool_1 = nn.MaxPool2d(1, stride=stride)
        self.conv_1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn_1 = nn.BatchNorm2d(width, eps=1.001e-5, momentum=0.01)
        self.relu_1 = nn.ReLU(inplace=True)
        self.conv_2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn_2 = nn.BatchNorm2d(width, eps=1.001e-5, momentum=0.01)
        self.relu_2 = nn.ReLU(inplace=True)
        self.conv_3 = nn.Conv2d(width, expanded, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.preact_relu(self.preact_bn(x))
        if self.with_conv:
            x = self.conv_0(y)
        elif self.max_pool_1 is not None:
            x = self.max_pool_1(x)
        y = self.relu_1(self.bn_1(self.conv_1(y)))
        y = self.relu_2(self.bn_2(self.conv_2(y)))
        y = self.conv_3(y)
        return x + y


class ResNet50V2(nn.Module):
    """ResNet50V2: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1_conv = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.pool1_pad = nn.ZeroPad2d(1)
        self.pool1_pool = nn.MaxPool2d(3, stride=2)
        self.conv2_block1 = Bottleneck(64, 64)
        self.conv2_block2 = Bottleneck(256, 64)
        self.conv2_block3 = Bottleneck(256, 64, stride=2)
        self.conv3_block1 = Bottleneck(256, 128)
        self.conv3_block2 = Bottleneck(512, 128)
        self.conv3_block3 = Bottleneck(512, 128)
        self.conv3_block4 = Bottleneck(512, 128, stride=2)
        self.conv4_block1 = Bottleneck(512, 256)
        self.conv4_block2 = Bottleneck(1024, 256)
        self.conv4_block3 = Bottleneck(1024, 256)
        self.conv4_block4 = Bottleneck(1024, 256)
        self.conv4_block5 = Bottleneck(1024, 256)
        self.conv4_block6 = Bottleneck(1024, 256, stride=2)
        self.conv5_block1 = Bottleneck(1024, 512)
        self.conv5_block2 = Bottleneck(2048, 512)
        self.conv5_block3 = Bottleneck(2048, 512)
        self.post_bn = nn.BatchNorm2d(2048, eps=1.001e-5, momentum=0.01)
        self.post_relu = nn.ReLU(inplace=True)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.predictions = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1_conv(image)  # 64x112x112
        x = self.pool1_pad(x)  # 64x114x114
        x = self.pool1_pool(x)  # 64x56x56
        x = self.conv2_block1(x)  # 256x56x56
        x = self.conv2_block2(x)  # 256x56x56
        x = self.conv2_block3(x)  # 256x28x28
        x = self.conv3_block1(x)  # 512x28x28
        x = self.conv3_block2(x)  # 512x28x28
        x = self.conv3_block3(x)  # 512x28x28
        x = self.conv3_block4(x)  # 512x14x14
        x = self.conv4_block1(x)  # 1024x14x14
        x = self.conv4_block2(x)  # 1024x14x14
        x = self.conv4_block3(x)  # 1024x14x14
        x = self.conv4_block4(x)  # 1024x14x14
        x = self.conv4_block5(x)  # 1024x14x14
        x = self.conv4_block6(x)  # 1024x7x7
        x = self.conv5_block1(x)  # 2048x7x7
        x = self.conv5_block2(x)  # 2048x7x7
        x = self.post_relu(self.post_bn(self.conv5_block3(x)))  # 2048x7x7
        x = self.avg_pool(x)  # 2048x1x1
        x = torch.flatten(x, 1)  # 2048
        return F.softmax(self.predictions(x), dim=1)  # 1000
