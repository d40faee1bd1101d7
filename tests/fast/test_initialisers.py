"""The NumPy draws of initial weights: moments and ranges, and that nothing depends on order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnnspec
from cnnspec.initialisers import Initialiser
from cnnspec.weights import initial
from cnnspec.weights.starting import sample
from support.initialisers import spec, wrong


def test_every_initialiser_draws_what_it_says() -> None:
    graph = cnnspec.loads(spec())
    weights = initial(graph, 0)
    assert list(weights) == list(graph.state)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    kinds = {weight.init.distribution for weight in graph.state.values()}
    assert len(kinds) == 14
    faults = {key: wrong(weight.init, weights[key]) for key, weight in graph.state.items()}
    assert not {key: fault for key, fault in faults.items() if fault}


@pytest.mark.parametrize(
    ("init", "shape", "other"),
    [
        (Initialiser(distribution="he_normal"), (64, 8, 3, 3), Initialiser(distribution="he_normal", fan="out")),
        (Initialiser(distribution="glorot_normal"), (64, 64, 3, 3), Initialiser(distribution="glorot_uniform")),
        (Initialiser(distribution="truncated_normal"), (30000,), Initialiser(distribution="normal")),
        (Initialiser(distribution="normal"), (30000,), Initialiser(distribution="truncated_normal")),
        (
            Initialiser(distribution="truncated_normal"), (30000,),
            Initialiser(distribution="truncated_normal", scale=0.96),
        ),
        (Initialiser(distribution="normal", value=0.05), (30000,), Initialiser(distribution="normal")),
        (
            Initialiser(distribution="variance_scaling", scale=2, form="truncated_normal"), (64, 8, 3, 3),
            Initialiser(distribution="he_normal"),
        ),
        (
            Initialiser(distribution="variance_scaling", scale=2, form="truncated_normal"), (64, 8, 3, 3),
            Initialiser(distribution="truncated_normal", scale=(2 / 72) ** 0.5),
        ),
        (
            Initialiser(distribution="variance_scaling", fan="avg"), (64, 8, 3, 3),
            Initialiser(distribution="variance_scaling"),
        ),
        (Initialiser(distribution="orthogonal"), (100, 300), Initialiser(distribution="normal", scale=300**-0.5)),
        (Initialiser(distribution="ones"), (3,), Initialiser(distribution="zeros")),
    ],
)  # fmt: skip
def test_the_measure_tells_distributions_apart(init: Initialiser, shape: tuple[int, ...], other: Initialiser) -> None:
    generator = np.random.default_rng(0)
    assert not wrong(init, sample(init, shape, generator))
    assert wrong(init, sample(other, shape, generator))


def test_depends_on_key_and_seed_alone() -> None:
    one = cnnspec.loads("model A { input x: 4\n a: dense(5) -> b: dense(6) }")
    other = cnnspec.loads("model A { input x: 4\n z: dense(4) -> a: dense(5) -> c: dense(2) }")
    first, second = initial(one, 7), initial(other, 7)
    assert np.array_equal(first["a.weight"], second["a.weight"])
    assert not np.array_equal(first["a.weight"], initial(one, 8)["a.weight"])
    assert not np.array_equal(first["a.weight"].ravel()[:20], first["b.weight"].ravel()[:20])


def test_normalisation_starts_as_the_identity() -> None:
    weights = initial(cnnspec.loads("model A { input x: 4x2x2\n norm: batch_norm }"), 0)
    assert {key: set(values.tolist()) for key, values in weights.items()} == {
        "norm.weight": {1.0}, "norm.bias": {0.0}, "norm.running_mean": {0.0}, "norm.running_var": {1.0},
    }  # fmt: skip


NETWORK = """
block Unit(width) {{
    input x
    x -> depthwise_conv(3x3, stride = 2, pad = same, init = {depthwise}) -> conv(width, 1x1, init = {dense})
}}
model Net(classes = 10) {{
    input image: 3x32x32
    conv(8, 3x3, init = {dense}) -> Unit(8) -> Unit(16) -> global_avg_pool -> flatten
    head: dense(classes, init = {head})
}}
"""
TRUNCATED = "variance_scaling(2, fan = out, distribution = truncated_normal)"
HEAD = "variance_scaling(1 / 3, fan = out, distribution = uniform)"


def emitted(target: str, folder: Path, **initialisers: str) -> str:
    (folder / "net.cnn").write_text(NETWORK.format(**initialisers), encoding="utf-8")
    return cnnspec.compile(str(folder / "net.cnn"), target)


def test_pytorch_tells_convolutions_in_groups_apart(tmp_path: Path) -> None:
    code = emitted("torch", tmp_path, depthwise="he_normal", dense="he_normal(fan = out)", head=HEAD)
    assert (
        code[code.index("        for module in") : code.index("    def forward(self, image")]
        == """\
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module.groups == 1:
                    nn.init.kaiming_normal_(
                        module.weight, mode="fan_out", nonlinearity="relu"
                    )
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Linear):
                variance_scaling_(module.weight, 1 / 3, "fan_out", "uniform")
                nn.init.zeros_(module.bias)

"""
    )


def test_pytorch_uses_its_own_functions_where_it_has_them(tmp_path: Path) -> None:
    code = emitted(
        "torch",
        tmp_path,
        depthwise="variance_scaling(1)",
        dense="variance_scaling(1, fan = avg, distribution = uniform)",
        head="variance_scaling(2, fan = out, distribution = uniform)",
    )
    assert 'nn.init.kaiming_normal_(module.weight, nonlinearity="linear")' in code
    assert "nn.init.xavier_uniform_(module.weight)" in code
    assert 'nn.init.kaiming_uniform_(\n                    module.weight, mode="fan_out", nonlinearity="relu"' in code
    assert "variance_scaling_" not in code


def test_keras_has_a_constant_for_what_several_layers_share(tmp_path: Path) -> None:
    truncated = TRUNCATED.replace("fan = out, ", "")
    code = emitted("keras", tmp_path, depthwise=truncated, dense=TRUNCATED, head=HEAD)
    assert (
        """

# No objects, since one would draw the same values for all weights of one shape.
HE_TRUNCATED_NORMAL_FAN_OUT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}


def unit(x: keras.KerasTensor, width: int, *, name: str) -> keras.KerasTensor:
"""
        in code
    )
    assert code.count("depthwise_initializer=HE_TRUNCATED_NORMAL_FAN_OUT") == 1
    assert code.count("kernel_initializer=HE_TRUNCATED_NORMAL_FAN_OUT") == 2
    assert code.count("keras.initializers.VarianceScaling(") == 1  # the head's
    assert "classes: int = 10" in code


def test_keras_has_words_for_some(tmp_path: Path) -> None:
    code = emitted(
        "keras",
        tmp_path,
        depthwise="zeros",
        dense="variance_scaling(2, distribution = truncated_normal)",
        head="variance_scaling(1, fan = avg, distribution = uniform)",
    )
    assert code.count('kernel_initializer="he_normal"') == 2
    assert "glorot" not in code  # which is Keras's default
    assert "keras.initializers" not in code
