"""ConvNeXtTiny, generated from convnext.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 28,589,128
Multiply-accumulates: 4,455,531,264
"""

from collections import OrderedDict

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


class FixedNormalize(nn.Module):
    """Shifts and scales each channel by a mean and a variance that are constants."""

    def __init__(self, mean: tuple[float, ...], variance: tuple[float, ...]) -> None:
        super().__init__()
        self.mean = mean
        self.variance = variance

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        deviation = x.new_tensor(self.variance).sqrt().clamp(min=1e-7)
        return (x - x.new_tensor(self.mean).reshape(shape)) / deviation.reshape(shape)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, variance={self.variance}"


class ConvNeXtBlock(nn.Module):
    """96x56x56 -> 96x56x56 at `convnext_tiny_stage_0.block_0`, the first of 18 uses."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.depthwise_conv = nn.Conv2d(
            in_channels, in_channels, 7, padding="same", groups=in_channels
        )
        self.layernorm = LayerNorm2d(in_channels, eps=1e-6)
        self.pointwise_conv_1 = ChannelLinear(in_channels, 4 * in_channels)
        self.gelu = nn.GELU()
        self.pointwise_conv_2 = ChannelLinear(4 * in_channels, in_channels)
        self.layer_scale = nn.Parameter(torch.full([in_channels, 1, 1], 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.layernorm(self.depthwise_conv(x))
        y = self.gelu(self.pointwise_conv_1(y))
        y = self.pointwise_conv_2(y)
        scale = self.layer_scale
        y = scale * y
        return x + y


class ConvNeXtTiny(nn.Module):
    """ConvNeXtTiny: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.convnext_tiny_prestem_normalization = FixedNormalize(
            (123.675, 116.28, 103.53),
            (3409.9760250000004, 3262.6944000000003, 3291.890625),
        )
        self.convnext_tiny_stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(3, 96, 4, stride=4),
                layernorm=LayerNorm2d(96, eps=1e-6),
            ),
        )
        self.convnext_tiny_stage_0 = nn.Sequential(
            OrderedDict([(f"block_{i}", ConvNeXtBlock(96)) for i in range(3)]),
        )
        self.convnext_tiny_downsampling_layernorm_0 = LayerNorm2d(96, eps=1e-6)
        self.convnext_tiny_downsampling_conv_0 = nn.Conv2d(96, 192, 2, stride=2)
        self.convnext_tiny_stage_1 = nn.Sequential(
            OrderedDict([(f"block_{i}", ConvNeXtBlock(192)) for i in range(3)]),
        )
        self.convnext_tiny_downsampling_layernorm_1 = LayerNorm2d(192, eps=1e-6)
        self.convnext_tiny_downsampling_conv_1 = nn.Conv2d(192, 384, 2, stride=2)
        self.convnext_tiny_stage_2 = nn.Sequential(
            OrderedDict([(f"block_{i}", ConvNeXtBlock(384)) for i in range(9)]),
        )
        self.convnext_tiny_downsampling_layernorm_2 = LayerNorm2d(384, eps=1e-6)
        self.convnext_tiny_downsampling_conv_2 = nn.Conv2d(384, 768, 2, stride=2)
        self.convnext_tiny_stage_3 = nn.Sequential(
            OrderedDict([(f"block_{i}", ConvNeXtBlock(768)) for i in range(3)]),
        )
        self.convnext_tiny_head_gap = nn.AdaptiveAvgPool2d(1)
        self.convnext_tiny_head_layernorm = nn.LayerNorm(768, eps=1e-6)
        self.convnext_tiny_head_dense = nn.Linear(768, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.convnext_tiny_prestem_normalization(image)  # 3x224x224
        x = self.convnext_tiny_stem(x)  # 96x56x56
        x = self.convnext_tiny_downsampling_layernorm_0(self.convnext_tiny_stage_0(x))
        x = self.convnext_tiny_downsampling_conv_0(x)  # 192x28x28
        x = self.convnext_tiny_downsampling_layernorm_1(self.convnext_tiny_stage_1(x))
        x = self.convnext_tiny_downsampling_conv_1(x)  # 384x14x14
        x = self.convnext_tiny_downsampling_layernorm_2(self.convnext_tiny_stage_2(x))
        x = self.convnext_tiny_downsampling_conv_2(x)  # 768x7x7
        x = self.convnext_tiny_stage_3(x)  # 768x7x7
        x = self.convnext_tiny_head_gap(x)  # 768x1x1
        x = self.convnext_tiny_head_layernorm(torch.flatten(x, 1))  # 768
        return F.softmax(self.convnext_tiny_head_dense(x), dim=1)  # 1000
