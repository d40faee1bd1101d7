"""What PyTorch, Keras and the literature call the layers: for those who write a spec from memory of these."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

from cnnspec.diagnostics import folded
from cnnspec.layers import LAYERS

NAMES: dict[str, tuple[str, ...]] = {
    "conv": ("convolution",),
    "conv_transpose": ("conv2d_transpose", "conv1d_transpose", "conv3d_transpose", "deconv", "deconvolution"),
    "dense": ("linear", "fc", "fully_connected", "inner_product"),
    "max_pool": ("max_pooling", "pool", "pooling"),
    "avg_pool": ("average_pool", "average_pooling"),
    "l2_pool": ("lp_pool",),
    "adaptive_avg_pool": ("adaptive_average_pool", "adaptive_average_pooling"),
    "adaptive_max_pool": ("adaptive_max_pooling",),
    "global_avg_pool": ("global_average_pool", "global_average_pooling", "global_pool"),
    "global_max_pool": ("global_max_pooling",),
    "batch_norm": ("batch_normalization", "batch_normalisation", "bn"),
    "layer_norm": ("layer_normalization", "layer_normalisation"),
    "group_norm": ("group_normalization", "group_normalisation"),
    "instance_norm": ("instance_normalization", "instance_normalisation"),
    "local_response_norm": ("lrn", "local_response_normalization"),
    "normalize": ("normalization", "normalisation", "normalise"),
    "channel_dropout": ("dropout1d", "dropout2d", "dropout3d", "spatial_dropout"),
    "stochastic_depth": ("drop_path", "drop_connect"),
    "reshape": ("view", "unflatten"),
    "permute": ("transpose",),
    "pad": ("zero_pad", "zero_padding", "reflection_pad", "replication_pad"),
    "crop": ("cropping", "center_crop"),
    "upsample": ("up_sampling", "resize", "resizing", "interpolate"),
    "pixel_shuffle": ("depth_to_space",),
    "concat": ("cat", "concatenate"),
    "leaky_relu": ("lrelu",),
    "silu": ("swish",),
}
"""By the layer's keyword.  Case, underscores and a number of dimensions at the end do not matter."""


ARGUMENTS: dict[str, tuple[str, ...]] = {
    "filters": ("out_channels",),
    "units": ("out_features",),
    "rate": ("p",),
    "axis": ("dim",),
    "bias": ("use_bias",),
}
"""By the argument's name."""

IMPLIED = ("in_channels", "in_features", "num_features", "normalized_shape", "input_shape", "input_dim", "inplace")
"""Arguments that no layer needs here."""


def argument_help(name: str, known: Collection[str]) -> str:
    """What to write for an argument called so elsewhere, of a layer that takes those in ``known``; empty if unknown."""
    meant = next((own for own, names in ARGUMENTS.items() if name in names and own in known), None)
    if meant is not None:
        return f"did you mean `{meant}`?"
    if name in ("activation", "act"):
        return "an activation is a layer of its own, behind this one: `-> relu`"
    return "leave it out: what is computed is known without it" if name in IMPLIED else ""


def layer_called(name: str) -> str | None:
    """The keyword of the layer called so elsewhere: `dense` for ``Linear``, `batch_norm` for ``BatchNorm2d``."""
    known = _keywords()
    return known.get(folded(name)) or known.get(re.sub("[123]d$", "", folded(name)))


@cache
def _keywords() -> dict[str, str]:
    own = {folded(kind): kind for kind in LAYERS}
    return own | {folded(name): kind for kind, names in NAMES.items() for name in names}
