"""ConvNeXt_Tiny, generated from convnext.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 28,589,128
Multiply-accumulates: 4,455,531,264
Compiled with drop_path = 0.1
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels at each position of a map."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ChannelLinear(nn.Linear):
    """A linear layer over the channels at each position of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class StochasticDepth(nn.Module):
    """Drops each sample whole with probability ``p`` in training; scales the others."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        noise = x.new_empty(x.shape[0], *(1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * noise.div_(keep)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class CNBlock(nn.Module):
    """96x56x56 -> 96x56x56 at `features.1.0`, the first of 18 uses."""

    def __init__(self, in_channels: int, rate: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels),
            nn.Identity(),
            LayerNorm2d(in_channels, eps=1e-6),
            ChannelLinear(in_channels, 4 * in_channels),
            nn.GELU(),
            ChannelLinear(4 * in_channels, in_channels),
        )
        self.layer_scale = nn.Parameter(torch.full([in_channels, 1, 1], 1e-6))
        self.stochastic_depth_1 = StochasticDepth(rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        scale = self.layer_scale
        y = self.stochastic_depth_1(scale * y)
        return x + y


class ConvNeXt_Tiny(nn.Module):
    """ConvNeXt_Tiny: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 96, 4, stride=4), LayerNorm2d(96, eps=1e-6)),
            nn.Sequential(
                CNBlock(96, 0.0),
                CNBlock(96, 0.1 / 17),
                CNBlock(96, 0.1 * 2 / 17),
            ),
            nn.Sequential(LayerNorm2d(96, eps=1e-6), nn.Conv2d(96, 192, 2, stride=2)),
            nn.Sequential(
                CNBlock(192, 0.1 * 3 / 17),
                CNBlock(192, 0.1 * 4 / 17),
                CNBlock(192, 0.1 * 5 / 17),
            ),
            nn.Sequential(LayerNorm2d(192, eps=1e-6), nn.Conv2d(192, 384, 2, stride=2)),
            nn.Sequential(
                CNBlock(384, 0.1 * 6 / 17),
                CNBlock(384, 0.1 * 7 / 17),
                CNBlock(384, 0.1 * 8 / 17),
                CNBlock(384, 0.1 * 9 / 17),
                CNBlock(384, 1 / 17),
                CNBlock(384, 0.1 * 11 / 17),
                CNBlock(384, 0.1 * 12 / 17),
                CNBlock(384, 0.1 * 13 / 17),
                CNBlock(384, 0.1 * 14 / 17),
            ),
            nn.Sequential(LayerNorm2d(384, eps=1e-6), nn.Conv2d(384, 768, 2, stride=2)),
            nn.Sequential(
                CNBlock(768, 0.1 * 15 / 17),
                CNBlock(768, 0.1 * 16 / 17),
                CNBlock(768, 0.1),
            ),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            LayerNorm2d(768, eps=1e-6),
            nn.Flatten(),
            nn.Linear(768, classes),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)  # 768x7x7
        x = self.avgpool(x)  # 768x1x1
        return self.classifier(x)  # 1000
