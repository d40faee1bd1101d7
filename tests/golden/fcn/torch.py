"""FCN, generated from fcn.cnn by cnnspec 0.1.0.

Input: image 3x96x96 (channels x height x width)
Output: mask 21x96x96
Parameters: 378,878
Multiply-accumulates: 58,029,264
"""

import torch.nn.functional as F
from torch import Tensor, nn


class FCN(nn.Module):
    """FCN: 3x96x96 -> 21x96x96."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.max_pool_1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.max_pool_2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.max_pool_3 = nn.MaxPool2d(2)
        self.conv4 = nn.Conv2d(64, 128, 3, padding=1)
        self.max_pool_4 = nn.MaxPool2d(2)
        self.conv5 = nn.Conv2d(128, 128, 3, padding=1)
        self.max_pool_5 = nn.MaxPool2d(2)
        self.score5 = nn.Conv2d(128, classes, 1)
        self.up5 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1)
        self.score4 = nn.Conv2d(128, classes, 1)
        self.up4 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1)
        self.score3 = nn.Conv2d(64, classes, 1)
        self.up3 = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        pool3 = F.relu(self.conv1(image), inplace=True)  # 16x96x96
        pool3 = self.max_pool_1(pool3)  # 16x48x48
        pool3 = F.relu(self.conv2(pool3), inplace=True)  # 32x48x48
        pool3 = self.max_pool_2(pool3)  # 32x24x24
        pool3 = F.relu(self.conv3(pool3), inplace=True)  # 64x24x24
        pool3 = self.max_pool_3(pool3)  # 64x12x12
        pool4 = F.relu(self.conv4(pool3), inplace=True)  # 128x12x12
        pool4 = self.max_pool_4(pool4)  # 128x6x6
        pool5 = F.relu(self.conv5(pool4), inplace=True)  # 128x6x6
        pool5 = self.max_pool_5(pool5)  # 128x3x3
        coarse = self.score5(pool5)  # 21x3x3
        coarse = self.up5(coarse)  # 21x6x6
        score4 = self.score4(pool4)  # 21x6x6
        middle = coarse + score4  # 21x6x6
        middle = self.up4(middle)  # 21x12x12
        score3 = self.score3(pool3)  # 21x12x12
        fine = middle + score3  # 21x12x12
        return self.up3(fine)  # 21x96x96
