"""What other software calls the layers."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cnnspec.cli.application import application
from cnnspec.layers import LAYERS
from cnnspec.layers.elsewhere import NAMES, layer_called


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Linear", "dense"),
        ("Conv3d", "conv"),
        ("Conv2DTranspose", "conv_transpose"),
        ("ConvTranspose2d", "conv_transpose"),
        ("DepthwiseConv2D", "depthwise_conv"),
        ("BatchNormalization", "batch_norm"),
        ("AdaptiveAvgPool2d", "adaptive_avg_pool"),
        ("GlobalAveragePooling2D", "global_avg_pool"),
        ("Dropout", "dropout"),
        ("Dropout2d", "channel_dropout"),
        ("SpatialDropout2D", "channel_dropout"),
        ("LeakyReLU", "leaky_relu"),
        ("ZeroPad2d", "pad"),
        ("swish", "silu"),
        ("Lambda", None),
    ],
)
def test_layer_called(name: str, kind: str | None) -> None:
    assert layer_called(name) == kind


def test_every_name_leads_to_a_layer_and_is_none() -> None:
    assert NAMES.keys() <= LAYERS.keys()
    names = [name for names in NAMES.values() for name in names]
    assert not LAYERS.keys() & names
    assert len(names) == len(set(names))


def test_the_list_of_layers_knows_them() -> None:
    result = CliRunner().invoke(application, ["layers", "Linear"])
    assert result.exit_code == 2
    assert "there is no layer `Linear`; did you mean `dense`?" in result.output
