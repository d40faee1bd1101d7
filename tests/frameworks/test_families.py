"""Models of one module with all models of a file compute what they do in modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnnspec.backend import backend
from support.families import differences
from support.residents import Residents

SPECS = Path(__file__).parents[2] / "specs"
GIVEN = """
block Basic(width, stride = 1) {
    conv(width, 3x3, stride, pad = 1) -> batch_norm -> relu
}
block Wide(width, factor, stride = 1) {
    conv(width * factor, 3x3, stride, pad = 1) -> relu -> project: conv(width, 1x1)
}
model Net(unit, act, depth = 2, classes = 10) {
    input image: 3x32x32
    for i in range(depth) { unit{i}: unit(8 * (i + 1), stride = 2) }
    act -> global_avg_pool -> flatten -> fc: dense(classes)
}
model One(depth = 2) = Net(Basic, act = tanh, depth = depth + 1, classes = depth * 2)
model Two = Net(Wide(factor = 3), act = leaky_relu(0.2), depth = 3)
model Alone(width = 4, classes = 3) {
    input image: 3x32x32
    conv(width, 3x3, stride = 2) -> first: Basic(width) -> global_avg_pool -> flatten -> dense(classes)
}
model Other(width = 2) = Alone(width * 3, classes = 5)
"""
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("One", {}), ("One", {"depth": 3}), ("Two", {}), ("Alone", {}), ("Alone", {"classes": 4}), ("Other", {"width": 5})
]  # fmt: skip
RESNETS: list[tuple[str, dict[str, Any]]] = [("ResNeXt50_32x4d", {"classes": 7})]


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow"])
def test_as_in_modules_of_their_own(target: str, tmp_path: Path, residents: Residents) -> None:
    gap = backend(target.partition("-")[0]).missing(target)
    if gap is not None:
        pytest.skip(gap)
    path = tmp_path / "nets.cnn"
    path.write_text(GIVEN, encoding="utf-8")
    for spec, models in ((str(path), MODELS), (str(SPECS / "torchvision" / "resnet.cnn"), RESNETS)):
        found = residents.of(target).call(differences, spec, target, models)
        assert [name for name, *_ in found] == [name for name, _ in models]
        for name, off, large, _ in found:
            assert large > 1e-3, name
            assert off <= 1e-12 * large, name
    assert found[0][3] == 25_028_904 - 993 * 2049
