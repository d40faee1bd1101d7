"""Files of weights without any framework: neutral ones, Keras's, and what is said when something is wrong."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

import cnnspec
from cnnspec.cli.application import application
from cnnspec.graph import Graph
from cnnspec.weights import Mismatch, MissingPackage, UnknownFormat, WeightError, initial, read, write
from cnnspec.weights.formats import need
from cnnspec_keras.reading import match

NET = """
model Net(classes = 10, deep = false) {
    input x: 3x8x8
    c: conv(4, 3x3, bias = false) -> bn: batch_norm -> relu
    if deep { extra: conv(4, 3x3) }
    dw: depthwise_conv(3x3, multiplier = 2)
    flatten -> fc: dense(classes)
}
"""


STATISTICS = ("weight", "bias", "running_mean", "running_var")


def net(**parameters: Any) -> Graph:
    return cnnspec.loads(NET, **parameters)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(application, ["weights", *map(str, arguments)])


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.cnn"
    path.write_text(NET)
    return path


def write_h5(path: Path, weights: Mapping[str, NDArray[Any]]) -> None:
    """A file as Keras writes it, by hand."""
    layout = {
        "layers/conv2d": ("c", [weights["c.weight"].transpose(2, 3, 1, 0)]),
        "layers/batch_normalization": ("bn", [weights[f"bn.{name}"] for name in STATISTICS]),
        # (C * m, 1, k, k) to (k, k, C, m)
        "layers/depthwise_conv2d": (
            "dw", [weights["dw.weight"].reshape(4, 2, 3, 3).transpose(2, 3, 0, 1), weights["dw.bias"]],
        ),
        "layers/dense": ("fc", [weights["fc.weight"].T, weights["fc.bias"]]),
        "layers/re_lu": ("relu_1", []),
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        for group, (name, arrays) in layout.items():
            variables = file.create_group(f"{group}/vars")
            variables.attrs["name"] = name
            for number, array in enumerate(arrays):
                variables[str(number)] = array
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
        file["optimizer/vars/0"] = np.int64(3)


def write_old_h5(path: Path, layers: Mapping[str, Mapping[str, NDArray[Any]]], *, whole: bool, text: bool) -> None:
    """A file as Keras 2 writes it, by hand: arrays by their names, of each layer; strings are bytes there.

    A ``whole`` model is one that `model.save` wrote.
    """

    def names(given: list[str]) -> NDArray[Any]:
        return np.array(given, h5py.string_dtype()) if text else np.array([name.encode() for name in given])

    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        root.attrs["layer_names"] = names(list(layers))
        for layer, arrays in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = names(list(arrays))
            for name, array in arrays.items():
                group[name] = array


def assert_same(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> None:
    assert list(one) == list(other)
    for key in one:
        assert one[key].dtype == other[key].dtype
        assert np.array_equal(one[key], other[key]), key


# ---- what files hold


def test_neutral_files(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for precision in ("float32", "float64"):
        weights = {key: array.astype(precision) for key, array in initial(net(), 0).items()}
        write(path, net(), weights)
        assert_same(read(path, net()), weights)
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"format": "cnnspec", "spec": "Net"}
        assert set(file.keys()) == set(net().state)
    content = path.read_bytes()
    for _ in range(8):
        write(path, net(), weights)
        assert path.read_bytes() == content
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_half_precision_is_widened(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    weights = initial(net(), 0)
    halves = {key: array.astype(np.float16) for key, array in weights.items()}
    save_file(halves, path)
    assert_same(read(path, net()), {key: array.astype(np.float32) for key, array in halves.items()})
    upper = {key: (array.view(np.uint32) >> 16).astype("<u2") for key, array in weights.items()}
    header, data = {}, b""
    for key, bits in upper.items():
        offsets = [len(data), len(data) + bits.nbytes]
        header[key] = {"dtype": "BF16", "shape": list(bits.shape), "data_offsets": offsets}
        data += bits.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    wide = {key: (bits.astype(np.uint32) << 16).view(np.float32) for key, bits in upper.items()}
    assert_same(read(path, net()), wide)


def test_keras_files_without_keras(tmp_path: Path) -> None:
    weights = initial(net(), 0)
    write_h5(tmp_path / "net.weights.h5", weights)
    assert_same(read(tmp_path / "net.weights.h5", net()), weights)
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "no code of this is run")
        archive.write(tmp_path / "net.weights.h5", "model.weights.h5")
    assert_same(read(tmp_path / "net.keras", net()), weights)


# As `keras.Sequential` has them where nobody names layers, after others of their classes.
UNNAMED = """
model Unnamed(classes = 10) {
    input x: 3x8x8
    stem: { conv: conv(4, 3x3) -> bn: batch_norm -> relu }
    body: conv(4, 1x1) -> conv(4, 1x1) -> separable_conv(4, 3x3, multiplier = 2) -> norm: normalize -> prelu
    layer_scale = layer_scale: parameter([4, 1, 1], init = 1)
    global_avg_pool -> flatten -> fc: dense(classes)
}
"""
BY_KEY = {
    "conv2d_9/kernel:0": "stem.conv.weight",
    "conv2d_9/bias:0": "stem.conv.bias",
    "batch_normalization_3/gamma:0": "stem.bn.weight",
    "batch_normalization_3/beta:0": "stem.bn.bias",
    "batch_normalization_3/moving_mean:0": "stem.bn.running_mean",
    "batch_normalization_3/moving_variance:0": "stem.bn.running_var",
    "conv2d_10/kernel:0": "body.weight",
    "conv2d_10/bias:0": "body.bias",
    "conv2d_11/kernel:0": "conv_1.weight",
    "conv2d_11/bias:0": "conv_1.bias",
    "separable_conv2d/depthwise_kernel:0": "separable_conv_1.depthwise.weight",
    "separable_conv2d/pointwise_kernel:0": "separable_conv_1.pointwise.weight",
    "separable_conv2d/bias:0": "separable_conv_1.pointwise.bias",
    "normalization_1/mean:0": "norm.mean",
    "normalization_1/variance:0": "norm.variance",
    "normalization_1/count:0": "",
    "p_re_lu_2/alpha:0": "prelu_1.weight",
    "layer_scale/Variable:0": "layer_scale",
    "dense_1/kernel:0": "fc.weight",
    "dense_1/bias:0": "fc.bias",
}
"""The names of Keras 2 for the weights of `UNNAMED`, and those of the spec."""


def unnamed(**parameters: Any) -> Graph:
    return cnnspec.loads(UNNAMED, **parameters)


def in_keras_order(key: str, array: NDArray[Any]) -> NDArray[Any]:
    if key == "separable_conv_1.depthwise.weight":
        return array.reshape(4, 2, 3, 3).transpose(2, 3, 0, 1)
    if key == "prelu_1.weight":
        return array.reshape(1, 1, 4)
    return array.reshape(4) if key == "layer_scale" else array.transpose((*range(2, array.ndim), 1, 0)[-array.ndim :])


def unnamed_layers(weights: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    layers: dict[str, dict[str, NDArray[Any]]] = {"input_1": {}}
    for name, key in BY_KEY.items():
        array = in_keras_order(key, weights[key]) if key else np.int64(0)
        layers.setdefault(name.partition("/")[0], {})[name] = np.asarray(array)
    return layers


@pytest.mark.parametrize("whole", [False, True], ids=["weights", "model"])
@pytest.mark.parametrize("text", [False, True], ids=["bytes", "text"])
def test_files_of_keras_2_with_layers_that_nobody_named(whole: bool, text: bool, tmp_path: Path) -> None:
    weights = initial(unnamed(), 0)
    assert {*weights} == {*filter(None, BY_KEY.values())}
    write_old_h5(tmp_path / "net.h5", unnamed_layers(weights), whole=whole, text=text)
    assert_same(read(tmp_path / "net.h5", unnamed()), weights)
    # The content tells the kind, whatever the suffix.
    (tmp_path / "net.h5").rename(tmp_path / "net.weights.h5")
    assert_same(read(tmp_path / "net.weights.h5", unnamed()), weights)


def test_files_of_keras_3_with_layers_that_nobody_named(tmp_path: Path) -> None:
    weights = initial(unnamed(), 0)
    with h5py.File(tmp_path / "net.weights.h5", "w") as file:
        for name, arrays in unnamed_layers(weights).items():
            # In a group numbered in the file, whose order is that of its letters.
            variables = file.create_group(f"layers/group_of_{name}/vars")
            variables.attrs["name"] = name
            for number, array in enumerate(arrays.values()):
                variables[str(number)] = array
    assert_same(read(tmp_path / "net.weights.h5", unnamed()), weights)


def test_long_lists_of_names_are_in_parts(tmp_path: Path) -> None:
    weights = initial(unnamed(), 0)
    write_old_h5(tmp_path / "net.h5", unnamed_layers(weights), whole=False, text=False)
    with h5py.File(tmp_path / "net.h5", "a") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    assert_same(read(tmp_path / "net.h5", unnamed()), weights)


def test_layers_within_a_model_in_the_model(tmp_path: Path) -> None:
    """They have names of their own; where two have one, neither is known by it."""
    weights = initial(unnamed(), 0)
    layers = unnamed_layers(weights)
    stem = {name: array for layer in ("conv2d_9", "batch_normalization_3") for name, array in layers.pop(layer).items()}
    write_old_h5(tmp_path / "old.h5", {"stem": stem, **layers}, whole=False, text=False)
    assert_same(read(tmp_path / "old.h5", unnamed()), weights)
    with h5py.File(tmp_path / "new.weights.h5", "w") as file:
        for name, arrays in unnamed_layers(weights).items():
            variables = file.create_group(f"layers/functional/layers/group_of_{name}/vars")
            variables.attrs["name"] = name
            for number, array in enumerate(arrays.values()):
                variables[str(number)] = array
    assert_same(read(tmp_path / "new.weights.h5", unnamed()), weights)
    with h5py.File(tmp_path / "new.weights.h5", "a") as file:
        file.copy("layers/functional/layers/group_of_dense_1", "layers/group_of_dense_1")
    with pytest.raises(Mismatch) as caught:
        read(tmp_path / "new.weights.h5", unnamed())
    assert {*caught.value.difference.missing} == {"fc.weight", "fc.bias"}
    assert "layers/functional/layers/group_of_dense_1/0" in caught.value.difference.surplus


def test_layers_that_nobody_named_and_that_are_not_as_many(tmp_path: Path) -> None:
    layers = unnamed_layers(initial(unnamed(), 0))
    layers["conv2d_12"] = {"conv2d_12/kernel:0": np.zeros((1, 1, 4, 4), np.float32)}
    write_old_h5(tmp_path / "net.h5", layers, whole=False, text=False)
    with pytest.raises(Mismatch) as caught:
        read(tmp_path / "net.h5", unnamed())
    assert {*caught.value.difference.missing} == {
        f"{path}.{name}" for path in ("stem.conv", "body", "conv_1") for name in ("weight", "bias")
    }
    assert caught.value.difference.surplus["conv2d_12/0"] == (1, 1, 4, 4)


def test_layers_that_nobody_named_in_another_shape(tmp_path: Path) -> None:
    write_old_h5(tmp_path / "net.h5", unnamed_layers(initial(unnamed(classes=7), 0)), whole=False, text=False)
    with pytest.raises(
        Mismatch, match=r"`fc\.weight` is 7x4, and must be 10x4; it was taken to be `dense_1/0`"
    ) as caught:
        read(tmp_path / "net.h5", unnamed())
    assert caught.value.difference.reshaped == {"fc.weight": ((7, 4), (10, 4)), "fc.bias": ((7,), (10,))}


@pytest.mark.parametrize(
    ("paths", "names", "order"),
    [
        pytest.param(("dense_1", "dense_2"), ("dense_1", "dense_2"), (1, 2), id="the same names"),
        pytest.param(("dense_2", "dense_1"), ("dense", "dense_1"), (2, 1), id="numbers in both"),
        pytest.param(("head", "tail"), ("dense_10", "dense_9"), (2, 1), id="numbers are no letters"),
        pytest.param(("dense", "tail"), ("dense", "dense_1"), (1, 2), id="one name that both have"),
    ],
)
def test_the_order_of_layers_that_nobody_named(
    paths: tuple[str, str], names: tuple[str, str], order: tuple[int, int], tmp_path: Path
) -> None:
    text = f"model Two {{ input x: 2\n {paths[0]}: dense(2, bias = false) -> {paths[1]}: dense(2, bias = false) }}"
    arrays = {name: {f"{name}/kernel:0": np.full((2, 2), i, np.float32)} for i, name in enumerate(names, 1)}
    write_old_h5(tmp_path / "two.h5", arrays, whole=False, text=True)
    found = read(tmp_path / "two.h5", cnnspec.loads(text))
    assert tuple(int(array[0, 0]) for array in found.values()) == order


def test_a_file_of_keras_2_that_lacks_what_it_lists(tmp_path: Path) -> None:
    write_old_h5(tmp_path / "net.h5", unnamed_layers(initial(unnamed(), 0)), whole=False, text=False)
    with h5py.File(tmp_path / "net.h5", "a") as file:
        del file["dense_1/dense_1/bias:0"]
    with pytest.raises(WeightError, match="has no `dense_1/bias:0` in `dense_1`, and says that it has"):
        read(tmp_path / "net.h5", unnamed())


def test_keras_in_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    weights = initial(net(), 0)
    write_h5(path, weights)
    with h5py.File(path, "a") as file:
        bits = (weights["fc.weight"].T.copy().view(np.uint32) >> 16).astype("<u2")
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = bits.view("V2")
        file["layers/dense/vars/0"].attrs["dtype"] = "bfloat16"
    assert np.array_equal(read(path, net())["fc.weight"], (bits.astype(np.uint32) << 16).view(np.float32).T)


# ---- files that do not fit


def changed(changes: Mapping[str, NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
    """The net's weights with some replaced, added or taken away."""
    weights = {**initial(net(), 0), **changes}
    return {key: array for key, array in weights.items() if array is not None}


FC = initial(net(), 0)["fc.weight"]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"fc.bias": None}, ["`fc.bias`, 10, is missing"]),
        ({"spare": np.zeros(3, np.float32)}, ["`spare`, 3, is in the file only"]),
        (
            {"fc.weight": None, "module.fc.weight": FC},
            [
                "`fc.weight`, 10x128, is missing; nearest is `module.fc.weight`",
                "`module.fc.weight`, 10x128, is in the file only; nearest is `fc.weight`",
            ],
        ),
        ({"fc.weight": FC.T.copy()}, ["`fc.weight` is 128x10, and must be 10x128; is it transposed?"]),
        ({"fc.bias": np.zeros((), np.float32)}, ["`fc.bias` is scalar, and must be 10"]),
        (
            {"fc.bias": None, "fc.biases": np.zeros(11, np.float32)},
            [
                "`fc.bias`, 10, is missing; nearest is `fc.biases`, 11",
                "`fc.biases`, 11, is in the file only; nearest is `fc.bias`, 10",
            ],
        ),
    ],
)  # fmt: skip
def test_mismatches(changes: Mapping[str, Any], lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(changed(changes), path)
    with pytest.raises(Mismatch) as caught:
        read(path, net())
    assert str(caught.value).splitlines() == ["`net.safetensors` does not fit `Net`", *(f"  {line}" for line in lines)]


def test_long_lists_end(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(changed({f"spare{n}": np.zeros(3, np.float32) for n in range(14)}), path)
    with pytest.raises(Mismatch) as caught:
        read(path, net())
    lines = str(caught.value).splitlines()
    assert len(lines) == 14
    assert lines[-1] == "  and 2 more are in the file only"


@pytest.mark.parametrize(
    ("parameters", "help"),
    [
        ({"classes": 7}, "--set classes=7"),
        ({"deep": True}, "--set deep=true"),
        ({"deep": True, "classes": 7}, "--set deep=true --set classes=7"),
    ],
)
def test_parameters_that_would_fit(parameters: dict[str, Any], help: str, spec: Path, tmp_path: Path) -> None:
    graph = net(**parameters)
    write(tmp_path / "in.safetensors", graph, initial(graph, 0))
    done = run("convert", spec, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert done.exit_code == 1
    assert done.stderr.endswith(f"  = help: it fits with `{help}`\n")
    assert not (tmp_path / "out.safetensors").exists()
    done = run("convert", spec, tmp_path / "in.safetensors", tmp_path / "out.safetensors", *help.split())
    assert done.exit_code == 0, done.stderr


def test_no_parameter_helps(spec: Path, tmp_path: Path) -> None:
    save_file(
        changed({"fc.bias": np.zeros(11, np.float32), "spare": np.zeros(1, np.float32)}), tmp_path / "in.safetensors"
    )
    done = run("convert", spec, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert done.exit_code == 1
    assert "help" not in done.stderr


def test_a_transposed_kernel_in_keras(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    write_h5(path, initial(net(), 0))
    with h5py.File(path, "a") as file:
        kernel = file["layers/conv2d/vars/0"][()]
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = kernel.swapaxes(2, 3)
    with pytest.raises(Mismatch, match=r"`c\.weight` is 3x4x3x3, and must be 4x3x3x3; is it transposed\?"):
        read(path, net())


def test_other_layers_in_keras(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    write_h5(path, initial(net(), 0))
    with h5py.File(path, "a") as file:
        file["layers/dense/vars"].attrs["name"] = "head"
    with pytest.raises(Mismatch) as caught:
        read(path, net())
    assert {*caught.value.difference.missing} == {"fc.weight", "fc.bias"}
    assert caught.value.difference.surplus == {"head/0": (128, 10), "head/1": (10,)}


def test_integers_are_no_weights(tmp_path: Path) -> None:
    save_file(changed({"fc.bias": np.zeros(10, np.int64)}), tmp_path / "net.safetensors")
    with pytest.raises(WeightError, match=r"`fc\.bias` holds int64, and weights are floating-point numbers"):
        read(tmp_path / "net.safetensors", net())


# ---- files that are something else


def test_other_files(tmp_path: Path) -> None:
    for name, content, message in (
        ("a.safetensors", b"no", "`a.safetensors` is no safetensors file"),
        ("a.weights.h5", b"no", "`a.weights.h5` is no HDF5 file"),
        ("a.keras", b"PK\3\4", "`a.keras` cannot be unpacked"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightError, match=message):
            read(tmp_path / name, net())
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(WeightError, match=r"has no `model\.weights\.h5`"):
        read(tmp_path / "b.keras", net())
    with zipfile.ZipFile(tmp_path / "c.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2**20))
    with pytest.raises(WeightError, match="more than 100 times its size"):
        read(tmp_path / "c.keras", net())


def test_hdf5_files_that_are_not_of_keras_3(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        file["model_weights/conv/kernel:0"] = np.zeros(3)
    with pytest.raises(WeightError, match="neither `layers` nor `model_weights`"):
        read(path, net())
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    with pytest.raises(WeightError, match="does not tell which layer `/layers/dense/vars/0` is of"):
        read(path, net())


def test_hdf5_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    write_h5(secret, initial(net(), 0))
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers"] = h5py.ExternalLink(str(secret), "layers")
    with pytest.raises(WeightError, match="neither `layers` nor `model_weights`"):
        read(path, net())
    with h5py.File(path, "w") as file:
        for name in ("conv2d", "dense"):
            file[f"layers/{name}"] = h5py.ExternalLink(str(secret), f"layers/{name}")
    with pytest.raises(Mismatch) as caught:
        read(path, net())
    assert not caught.value.difference.surplus
    with h5py.File(path, "w") as file:
        variables = file.create_group("layers/dense/vars")
        variables.attrs["name"] = "fc"
        variables.create_dataset("1", (10,), np.float32, external=[(str(secret), 0, 40)])
    with pytest.raises(WeightError, match="from other files"):
        read(path, net())


def test_a_shape_that_is_not_the_spec_s_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    write_h5(path, initial(net(), 0))
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (10**6, 10**8), np.float64, chunks=(1, 1000))
    with pytest.raises(Mismatch, match=r"`fc\.weight` is 100000000x1000000"):
        read(path, net())


# ---- names, packages, writing


def test_unknown_formats(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bin").touch()
    with pytest.raises(UnknownFormat, match=r"names of weight files end in \.safetensors"):
        read(tmp_path / "a.bin", net())
    with pytest.raises(UnknownFormat, match="did you mean `keras`"):
        read(tmp_path / "a.bin", net(), format="kera")
    with pytest.raises(UnknownFormat, match=r"ends in \.weights\.h5 or \.keras, not as `a\.h5`"):
        write(tmp_path / "a.h5", net(), initial(net(), 0), format="keras")
    done = run("convert", spec, tmp_path / "a.bin", tmp_path / "b.safetensors", "--from", "xyz")
    assert done.exit_code == 2
    assert "there is no format `xyz`; there are neutral" in done.stderr


def test_what_is_not_installed() -> None:
    with pytest.raises(MissingPackage, match=r"nosuch is not installed: pip install 'cnnspec\[weights\]'"):
        need("nosuch.module", "weights")


def test_keras_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnspec_keras.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="only Keras can number its layers: keras and tensorflow not installed"):
        write(tmp_path / "w.weights.h5", net(), initial(net(), 0))


def test_weights_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(Mismatch, match="what is to be written"):
        write(path, net(), changed({"fc.bias": None}))
    assert not path.exists()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    path.write_text("old")
    path.chmod(0o640)

    def fails(*arguments: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("cnnspec.weights.neutral.save_safetensors", fails)
        with pytest.raises(OSError, match="full"):
            write(path, net(), initial(net(), 0))
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["net.safetensors"]
    write(path, net(), initial(net(), 0))
    assert path.stat().st_mode & 0o777 == 0o640


# ---- the command line


def test_init_and_convert(spec: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    assert run("init", spec, one, "--seed", "5").exit_code == 0
    assert_same(read(one, net()), initial(net(), 5))
    assert run("convert", spec, one, two, "--to", "torch").exit_code == 0
    with safe_open(two, framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == {*net().state, "bn.num_batches_tracked"}
    assert run("convert", spec, two, two, "--to", "neutral").exit_code == 0
    assert two.read_bytes() == one.read_bytes()
    assert run("init", spec, two, "--seed", "5", "--set", "classes=7").exit_code == 0
    assert read(two, net(classes=7))["fc.bias"].shape == (7,)


def test_files_that_are_not_there(spec: Path, tmp_path: Path) -> None:
    done = run("convert", spec, tmp_path / "no.safetensors", tmp_path / "out.safetensors")
    assert done.exit_code == 2
    assert "cannot read" in done.stderr
    assert "No such file" in done.stderr
    done = run("init", spec, tmp_path / "no" / "out.safetensors")
    assert done.exit_code == 2
    assert "cannot write" in done.stderr
    done = run("init", spec, tmp_path, "--to", "neutral")
    assert done.exit_code == 2


def test_a_spec_from_standard_input(tmp_path: Path) -> None:
    graph = net(classes=7)
    write(tmp_path / "in.safetensors", graph, initial(graph, 0))
    arguments = ["weights", "convert", "-", str(tmp_path / "in.safetensors"), str(tmp_path / "out.safetensors")]
    done = CliRunner().invoke(application, arguments, input=NET)
    assert done.exit_code == 1
    assert "`fc.bias` is 7, and must be 10" in done.stderr


def test_names_in_keras_with_the_words_of_a_path_in_another_order() -> None:
    text = """\
block Cell { left: { conv1: conv(4, 1x1) -> conv2: conv(4, 1x1) } }

model Net {
    input image: 4x8x8

    cell_1: Cell
    cell_2: Cell
    head: conv(4, 1x1)
}
"""
    names = ["conv1_left_cell_1", "cell_2_conv2_left", "conv1_left_cell_3", "left_2_conv_1_cell", "conv2d_5"]
    assert {name: node.path for name, node in match(cnnspec.loads(text), names).items()} == {
        "conv1_left_cell_1": "cell_1.left.conv1",
        "cell_2_conv2_left": "cell_2.left.conv2",
    }
