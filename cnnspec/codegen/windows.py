"""Which padding of a sliding window is a constant, whatever the size of the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnspec.codegen.emission import Unsupported
from cnnspec.layers.base import Window

Sides = tuple[tuple[int, int], ...]


def pads_by_size(pads: Sequence[Any], sides: Sequence[Sides], windows: Sequence[Window]) -> bool:
    """Whether the uses of a layer pad ``same`` in a way that another size of the map would make another.

    ``pads`` are the arguments of the layers, ``sides`` what they are here.  The uses have one form, so all of them must
    be able to say ``same`` then; raises `Unsupported` where one cannot.
    """
    uses = list(zip(pads, sides, windows, strict=True))
    if not any(pad == "same" and not _settled(window) for pad, _, window in uses):
        return False
    if not all(pad == "same" or (_settled(window) and here == _at_stride_one(window)) for pad, here, window in uses):
        raise Unsupported("one layer pads `same` in some uses of its block, and by numbers in others")
    return True


def _settled(window: Window) -> bool:
    """Whether ``same`` is the same at every size: at stride 1, and under a kernel of one value, which needs none."""
    return all(stride == 1 or kernel == 1 for kernel, stride in zip(window.kernel, window.stride, strict=True))


def _at_stride_one(window: Window) -> Sides:
    totals = [dilation * (kernel - 1) for kernel, dilation in zip(window.kernel, window.dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)
