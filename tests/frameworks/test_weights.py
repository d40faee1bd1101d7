"""Weights between frameworks: what Keras and PyTorch themselves write and load, and that nothing changes on the way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray

import cnnspec
from cnnspec import zoo
from cnnspec.cli.application import application
from cnnspec.graph import Graph
from cnnspec.weights import WeightError, draw, initial, read, write
from support.torchvision_models import torchvision_models

# Every layer that has weights, each in all its forms.
ALL_WEIGHTS = """
model AllWeights(classes = 5) {
    input x: 6x9x9
    input line: 6x9
    input volume: 4x3x4x5
    y = x -> c1: conv(8, 3x2, pad = 1) -> bn: batch_norm -> act: prelu
          -> c2: conv(12, 3x3, groups = 2, bias = false) -> bn_plain: batch_norm(affine = false)
          -> dw: depthwise_conv(3x3, multiplier = 2) -> one: prelu(shared = true)
          -> dw2: conv(24, 3x3, stride = 2x1, pad = 1, groups = 24) -> gn: group_norm(4)
          -> dw3: conv(48, 2x2, pad = 1, groups = 24) -> ln: layer_norm
          -> t1: conv_transpose(10, 3x2, stride = 2) -> in1: instance_norm(affine = true)
          -> t2: conv_transpose(6, 3x3, groups = 2) -> ln2: layer_norm(axes = all)
          -> s1: separable_conv(6, 2x2, multiplier = 2) -> bn_unscaled: batch_norm(scale = false)
          -> s2: separable_conv(5, 1x1, bias = false) -> known: normalize -> d1: dense(7, axis = channels)
    scale = gamma: parameter([7, 1, 1], init = 0.5)
    output main = y * scale -> global_avg_pool -> flatten -> drop: dropout(0.5) -> fc: dense(classes)
    output l = line -> l1: conv(8, 3, pad = 1) -> l2: depthwise_conv(3) -> l3: separable_conv(8, 3)
                    -> l4: conv_transpose(4, 2)
    output v = volume -> v1: conv(8, 2x2x2) -> v2: depthwise_conv(1x2x2) -> v3: conv_transpose(4, 2x2x2)
}
"""


def convert(*arguments: str | Path) -> Result:
    return CliRunner().invoke(application, ["weights", "convert", *map(str, arguments)])


def single(weights: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key: array.astype(np.float32) for key, array in weights.items()}


def same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> bool:
    return list(one) == list(other) and all(
        one[key].dtype == other[key].dtype and one[key].tobytes() == other[key].tobytes() for key in one
    )


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".pt"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_layer(suffix: str, precision: str, tmp_path: Path) -> None:
    graph = cnnspec.loads(ALL_WEIGHTS)
    weights = {key: array.astype(precision) for key, array in draw(graph, 1).items()}
    write(tmp_path / f"file{suffix}", graph, weights)
    assert same(read(tmp_path / f"file{suffix}", graph), weights)
    assert [path.name for path in tmp_path.iterdir()] == [f"file{suffix}"]


TO_KERAS = """
import json, sys
from pathlib import Path
import cnnspec
from cnnspec import loading
from cnnspec.api import load_for_compiling
from cnnspec.weights import read, write
from cnnspec_keras.emit import emit
from cnnspec_keras.saving import save

folder = Path(sys.argv[1])
for number, name in enumerate(sys.argv[2:]):
    graph, probes = load_for_compiling(loading.find(name))
    kept = folder / f"{number}.weights.h5"
    save("keras-tensorflow", graph, emit(graph, probes), read(folder / f"{number}.pt", graph), kept)
    again = folder / f"{number}.again.safetensors"
    write(again, graph, read(kept, graph), format="torch")
    same = again.read_bytes() == (folder / f"{number}.safetensors").read_bytes()
    for path in folder.glob(f"{number}.*"):
        path.unlink()
    print(json.dumps([name, same]), flush=True)
    import keras
    keras.utils.clear_session()
"""
SMALL = 1_000_000
# Larger ones, which are all VGGs and ConvNeXts, take gigabytes; one of the former stands for them.
LARGE = 62_000_000


def there_and_back(names: list[str], folder: Path) -> None:
    for number, name in enumerate(names):
        graph = cnnspec.load(name)
        weights = initial(graph, 0)
        write(folder / f"{number}.pt", graph, weights)
        write(folder / f"{number}.safetensors", graph, weights, format="torch")
    done = subprocess.run(
        [sys.executable, "-P", "-c", TO_KERAS, str(folder), *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[name, True] for name in names]


def shipped() -> list[tuple[str, int]]:
    names = sorted(zoo.models())
    return [(name, cnnspec.load(name).params) for name in names]


def test_torch_to_keras_to_torch_is_the_same_file(tmp_path: Path) -> None:
    there_and_back([name for name, size in shipped() if size < SMALL], tmp_path)


@pytest.mark.slow
def test_torch_to_keras_to_torch_of_each_file(tmp_path: Path) -> None:
    smallest: dict[Path, tuple[int, str]] = {}
    for name, size in shipped():
        network = zoo.models()[name]
        if size >= SMALL and network.library != "keras":
            smallest[network.path] = min((size, name), smallest.get(network.path, (size, name)))
    there_and_back([name for size, name in smallest.values() if size < LARGE / 2], tmp_path)


@pytest.mark.slow
@pytest.mark.soak
def test_torch_to_keras_to_torch_of_every_spec(tmp_path: Path) -> None:
    names = [name for name, size in shipped() if SMALL <= size < LARGE and zoo.models()[name].library != "keras"]
    assert len(names) > 20
    there_and_back([*names, "vgg11_bn"], tmp_path)


@pytest.mark.slow
def test_torch_to_keras_to_torch_of_keras_applications(tmp_path: Path) -> None:
    """Those with layers that the others lack; `make zoo` reads what Keras itself writes for each of the 40."""
    there_and_back(["keras/efficientnetb0", "keras/mobilenetv3small", "xception"], tmp_path)


LOAD_IN_KERAS = """
import sys
from pathlib import Path
import keras, numpy
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    namespace = {"__name__": name}
    exec(compile((folder / f"{name}.py").read_text(), name, "exec"), namespace)
    model = namespace[name]()
    model.load_weights(folder / f"{name}.weights.h5")
    image = numpy.load(folder / "image.npy").transpose(0, 2, 3, 1)
    results = model(image, training=False)
    numpy.save(folder / f"{name}.npy", numpy.asarray(results[0] if isinstance(results, list) else results))
    model.save(folder / f"{name}.keras")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Networks of torchvision from random weights, with statistics that count, saved as people save them."""
    models = torchvision_models()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("torchvision")
    nets = {
        "resnet18": models.resnet18(weights=None),
        "mobilenet_v2": models.mobilenet_v2(weights=None),
        "googlenet": models.googlenet(weights=None, aux_logits=True, init_weights=False),
    }
    for net in nets.values():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
    torch.save(nets["resnet18"].state_dict(), folder / "resnet18.pth")
    torch.save({"model": nets["mobilenet_v2"].state_dict(), "epoch": 3}, folder / "mobilenet_v2.pth")
    torch.save({"state_dict": nets["googlenet"].state_dict()}, folder / "googlenet.pth")
    return folder, nets


def test_weights_of_torchvision_in_keras(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, nets = trained
    image = torch.randn(2, 3, 224, 224)
    np.save(folder / "image.npy", image.numpy())
    for name in nets:
        options = ["--set", "auxiliary_heads=true"] if name == "googlenet" else []
        source = CliRunner().invoke(application, ["compile", name, "-b", "keras", *options])
        (folder / f"{name}.py").write_text(source.stdout)
        done = convert(name, folder / f"{name}.pth", folder / f"{name}.weights.h5", *options)
        assert done.exit_code == 0, done.output
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOAD_IN_KERAS, str(folder), *nets], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name, net in nets.items():
        with torch.no_grad():
            expected = net.eval()(image).numpy()
        assert np.abs(np.load(folder / f"{name}.npy") - expected).max() <= 1e-5 * np.abs(expected).max(), name
        # And the archive that Keras itself writes goes back.
        options = ["--set", "auxiliary_heads=true"] if name == "googlenet" else []
        done = convert(name, folder / f"{name}.keras", folder / f"{name}.back.pt", *options)
        assert done.exit_code == 0, done.output
        net.load_state_dict(torch.load(folder / f"{name}.back.pt", weights_only=True), strict=True)
        before = torch.load(folder / f"{name}.pth", weights_only=True)
        before = before.get("state_dict", before.get("model", before))
        assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_surplus_heads_are_listed_with_what_would_fit(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = trained
    done = convert("googlenet", folder / "googlenet.pth", folder / "never.safetensors")
    assert done.exit_code == 1
    assert "`aux1.conv.conv.weight`, 128x512x1x1, is in the file only" in done.stderr
    assert "more are in the file only" in done.stderr
    assert done.stderr.endswith("  = help: it fits with `--set auxiliary_heads=true`\n")
    assert not (folder / "never.safetensors").exists()


def test_both_a_flag_and_a_number(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    models = torchvision_models()
    net = models.googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=10)
    torch.save(net.state_dict(), tmp_path / "ten.pth")
    done = convert("googlenet", tmp_path / "ten.pth", tmp_path / "never.pt")
    assert done.exit_code == 1
    assert "`fc.weight` is 10x1024, and must be 1000x1024" in done.stderr
    assert "--set auxiliary_heads=true" in done.stderr
    assert "--set classes=10" in done.stderr


@pytest.mark.parametrize("zipped", [False, True])
def test_files_as_torchvision_published_them(zipped: bool, tmp_path: Path) -> None:
    """Years ago: without counters of batches, in PyTorch's first format, and a DenseNet with its first names."""
    models = torchvision_models()
    path = tmp_path / "published-0123abcd.pth"
    for name in ("resnet18", "densenet121"):
        state = getattr(models, name)(weights=None).state_dict()
        published = OrderedDict(
            (re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", key), tensor)
            for key, tensor in state.items()
            if not key.endswith("num_batches_tracked")
        )
        torch.save(published, path, _use_new_zipfile_serialization=zipped)
        found = read(path, cnnspec.load(name))
        assert len(found) == len(published)
        assert all(np.array_equal(array, state[key].numpy()) for key, array in found.items())


BY_KERAS = """
import sys
from pathlib import Path
import keras, numpy
from keras import layers

folder = Path(sys.argv[1])
numbers = numpy.random.default_rng(0)


@keras.saving.register_keras_serializable()
class Gain(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")

    def call(self, x):
        return x * self.gamma


def unnamed():
    image = keras.Input((12, 12, 3))
    layers.Conv2D(1, 1)(image)  # the next one is not the first
    x = layers.Normalization()(image)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.ReLU()(x)
    x = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2)(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = Gain(name="gain")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Dropout(0.5)(x)
    x = keras.Sequential([layers.LayerNormalization(epsilon=1e-6), layers.Conv2DTranspose(4, 2, strides=2)])(x)
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(5)(x))


def mobilenet():
    return keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(32, 32, 3), classes=10)


for make in (unnamed, mobilenet):
    name = make.__name__
    model = make()
    for variable in model.weights:
        if variable.dtype == "float32":
            near = 0.0 if variable.path.endswith("mean") else 1.0
            if len(variable.shape) == 1:
                variable.assign(numbers.uniform(near - 0.5, near + 0.5, variable.shape))
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    image = numbers.normal(size=(2, *model.input_shape[1:])).astype("float32")
    numpy.save(folder / f"{name}_in.npy", image.transpose(0, 3, 1, 2))
    numpy.save(folder / f"{name}_out.npy", keras.ops.convert_to_numpy(model(image, training=False)))
    model.save_weights(folder / f"{name}.weights.h5")
    model.save(folder / f"{name}.keras")
    model.save(folder / f"{name}.h5")
"""
# Flatten goes by rows in Keras, channels last.
OF_KERAS = """
model Unnamed {
    input image: 3x12x12
    y = image -> normalize -> conv(6, 3x3, stride = 2, pad = same, bias = false)
              -> batch_norm(eps = 1e-3, momentum = 0.01, scale = false) -> relu
              -> separable_conv(8, 3x3, pad = same, multiplier = 2) -> prelu
    gain = gain: parameter([8, 1, 1], init = 1)
    y * gain -> conv(8, 3x3, stride = 2, pad = same) -> depthwise_conv(3x3, pad = same) -> dropout(0.5)
    layer_norm(eps = 1e-6) -> conv_transpose(4, 2x2, stride = 2) -> permute([1, 2, 0]) -> flatten -> dense(5)
}
"""


def test_files_of_models_that_were_built_in_keras(tmp_path: Path) -> None:
    """Layers without names of their own, and those of keras.applications, in all three kinds of files."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", BY_KERAS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "torch"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    graphs = {
        "unnamed": cnnspec.loads(OF_KERAS),
        "mobilenet": cnnspec.load("keras/mobilenet", inputs={"image": (3, 32, 32)}, alpha=0.25, classes=10),
    }
    for name, graph in graphs.items():
        weights = read(tmp_path / f"{name}.weights.h5", graph)
        for suffix in (".keras", ".h5"):
            assert same(read(tmp_path / f"{name}{suffix}", graph), weights)
        module = cnnspec.build(graph, "torch").eval()
        module.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()}, strict=False)
        with torch.no_grad():
            found = module(torch.from_numpy(np.load(tmp_path / f"{name}_in.npy"))).numpy()
        expected = np.load(tmp_path / f"{name}_out.npy")
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(), name


SMALL_NET = "model Small { input x: 3x4x4\n c: conv(4, 3x3) -> bn: batch_norm -> flatten -> fc: dense(2) }"


def small() -> Graph:
    return cnnspec.loads(SMALL_NET)


def test_files_that_hold_more_than_tensors_are_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "model.pt"
    for content in (Trap(), {"state_dict": Trap()}, torch.nn.Linear(2, 2)):
        for zipped in (True, False):
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            with pytest.raises(WeightError, match="weights_only"):
                read(path, small())
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"garbage" * 100, b"\x80\x04K\x01."])
def test_broken_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(WeightError):
        read(path, small())


def test_what_torch_may_hold(tmp_path: Path) -> None:
    graph = small()
    state = {key: torch.from_numpy(array) for key, array in initial(graph, 0).items()}
    path = tmp_path / "model.pt"
    # half precision has a place in float32; a list is no state dict; a number is no tensor; integers are no weights
    torch.save({key: tensor.bfloat16() for key, tensor in state.items()}, path)
    assert same(read(path, graph), {key: tensor.bfloat16().float().numpy() for key, tensor in state.items()})
    for content, message in (
        ([1], "holds a list"),
        ({**state, "epoch": 3}, "`epoch`, scalar, is in the file only"),
        ({**state, "fc.bias": state["fc.bias"].int()}, "`fc.bias` holds int32"),
        ({**state, "fc.bias": state["fc.bias"].to_sparse()}, "`fc.bias` is no plain tensor"),
    ):
        torch.save(content, path)
        with pytest.raises(WeightError, match=message):
            read(path, graph)


def test_an_old_torch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    torch.save({}, tmp_path / "model.pt")
    with pytest.raises(WeightError, match=r"needs PyTorch 2\.6"):
        read(tmp_path / "model.pt", small())


def test_neutral_files_load_into_a_module(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    graph = small()
    module = cnnspec.build(graph, "torch")
    for format in ("neutral", "torch"):
        write(tmp_path / "w.safetensors", graph, initial(graph, 5), format=format)
        module.load_state_dict(load_file(tmp_path / "w.safetensors"), strict=True)
        assert np.array_equal(module.fc.weight.detach().numpy(), initial(graph, 5)["fc.weight"])


def test_a_failure_of_keras_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnspec_keras.emit.emit", lambda graph, probes: "raise ValueError('no such layer')\n")
    with pytest.raises(WeightError, match="no such layer"):
        write(tmp_path / "w.weights.h5", small(), initial(small(), 0))
    assert not list(tmp_path.iterdir())
