"""All models of a file in one module: what they share, what derives from what, and that each is its graph.

The emitter runs the code of each model on symbols before it gives it out; `replayed` counts these runs.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

import cnnspec
from cnnspec import api, loading
from cnnspec.backend import WrongCode, emitter
from cnnspec.cli.application import application
from cnnspec.diagnostics import SpecError

BACKENDS = ("torch", "keras")
SPECS = Path(__file__).parents[2] / "specs"

PLAIN = """
    block Unit(width, stride = 1) {
        main: { conv(width, 3x3, stride, pad = 1, bias = false) -> batch_norm }
        relu
    }
    model Net(widths, stem = 8, classes = 10) {
        input image: 3x32x32
        stem: conv(stem, 3x3, pad = 1)
        for i, width in enumerate(widths) { stage{i}: Unit(width, if i > 0 then 2 else 1) }
        global_avg_pool -> flatten -> fc: dense(classes)
    }
    model Small(classes = 10) = Net([8, 16], classes = classes)
    model Large(classes = 10) = Net([16, 32, 64], stem = 16, classes = classes)
"""


def module(text: str, backend: str) -> str:
    spec = loading.Spec(dedent(text), "nets.cnn", None, None)
    return emitter(backend).emit_family(api.load_all_for_compiling(spec))


def definitions(source: str) -> list[str]:
    return [one.name for one in ast.parse(source).body if isinstance(one, ast.ClassDef | ast.FunctionDef)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_models_derived_from_one(backend: str) -> None:
    source = module(PLAIN, backend)
    if backend == "torch":
        assert definitions(source) == ["Unit", "Net", "small", "large"]
        assert "def large(classes: int = 10) -> Net:" in source
        assert "return Net([16, 32, 64], stem=16, classes=classes)" in source
        assert "def __init__(self, widths: list[int], stem: int = 8, classes: int = 10) -> None:" in source
    else:
        assert definitions(source) == ["unit", "net", "small", "large"]
        assert 'return net([8, 16], classes=classes, input_size=input_size, name="small")' in source


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_and_layers_given_to_a_base(backend: str) -> None:
    source = module(
        """
        block Basic(width, stride = 1) {
            conv(width, 3x3, stride, pad = 1) -> relu
        }
        block Wide(width, factor, stride = 1) {
            conv(width * factor, 3x3, stride, pad = 1) -> relu -> project: conv(width, 1x1)
        }
        model Net(unit, act, depth = 2) {
            input image: 3x16x16
            for i in range(depth) { unit{i}: unit(8 * (i + 1), stride = 2) }
            act -> global_avg_pool -> flatten -> fc: dense(10)
        }
        model One(depth = 2) = Net(Basic, act = tanh, depth = depth)
        model Two = Net(Wide(factor = 3), act = leaky_relu(0.2), depth = 3)
        """,
        backend,
    )
    if backend == "torch":
        assert definitions(source) == ["Basic", "Wide", "Net", "one", "two"]
        assert "return Net(Basic, nn.Tanh, depth)" in source or "return Net(Basic, nn.Tanh, depth=depth)" in source
        assert "partial(Wide, factor=3)" in source
    else:
        assert definitions(source)[-3:] == ["net", "one", "two"]
        assert "partial(wide, factor=3)" in source


@pytest.mark.parametrize("backend", BACKENDS)
def test_derived_from_what_is_derived(backend: str) -> None:
    source = module(
        """
        model A(width, depth = 2, classes = 10) {
            input image: 1x8x8
            for i in range(depth) { conv{i}: conv(width, 3x3, pad = 1) -> relu }
            flatten -> fc: dense(classes)
        }
        model B(depth, classes = 5) = A(16, depth = depth + 1, classes = classes)
        model C(size = 2) = B(size * 2)
        model D = B(1, classes = 7)
        """,
        backend,
    )
    base = "A" if backend == "torch" else "a"
    assert definitions(source) == [base, "c", "d"]
    assert re.search(rf"return {base}\(\s*16,\s*depth=size \* 2 \+ 1,\s*classes=5", source)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_base_that_stands_alone(backend: str) -> None:
    source = module(
        """
        model Net(width = 8, classes = 10) {
            input image: 1x8x8
            conv: conv(width, 3x3) -> relu -> flatten -> fc: dense(classes)
        }
        model Wide(classes = 10) = Net(64, classes)
        model Alone {
            input image: 3x8x8
            flatten -> dense(2)
        }
        """,
        backend,
    )
    if backend == "torch":
        assert definitions(source) == ["Net", "wide", "Alone"]
        assert "def __init__(self, width: int = 8, classes: int = 10) -> None:" in source
        assert "return Net(64, classes=classes)" in source or "return Net(width=64, classes=classes)" in source
    else:
        assert definitions(source) == ["net", "wide", "alone"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_parameters_of_the_same_name(backend: str) -> None:
    """What a derived model calls `classes` is not what its base calls so."""
    source = module(
        """
        model A(width = 4, classes = 10) {
            input image: 1x8x8
            conv(width, 3x3) -> global_avg_pool -> flatten -> fc: dense(classes)
        }
        model B(classes = 5) = A(classes = classes * 2)
        model C(classes = 7, width = 3) = A(width = classes, classes = width)
        """,
        backend,
    )
    assert len(definitions(source)) == 3
    assert "(classes=classes * 2" in source
    assert "width=classes, classes=width" in source


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_all_models_give_alike(backend: str) -> None:
    """A base takes what it is given where other values show what follows it; else all have it written out."""
    source = module(
        """
        model Net(width, kinds, mode, classes = 10) {
            input image: 1x8x8
            for kind in kinds { conv(width * kind, 3x3, pad = 1) -> relu }
            if mode == "deep" { conv(width, 3x3) }
            global_avg_pool -> flatten -> fc: dense(classes)
        }
        model One(classes = 10) = Net(8, [1, 2], "deep", classes)
        model Two = Net(8, [1, 2], "deep", 3)
        """,
        backend,
    )
    base = "Net" if backend == "torch" else "net"
    assert re.search(rf"return {base}\(\s*8,\s*\[1, 2\],\s*classes=classes", source)
    assert "mode" not in source


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_said_together_is_said_apart(backend: str) -> None:
    """Auxiliary outputs and other inputs are the model's own: each is a definition of its own, with shared blocks."""
    source = module(
        """
        block Unit(width) { conv(width, 3x3, pad = 1) -> relu }
        model Net(sizes, two = false) {
            input image: 3x8x8
            for i, size in enumerate(sizes) { unit{i}: Unit(size) }
            flatten -> fc: dense(if two then 2 else sizes[0])
        }
        model One = Net([4, 8])
        model Two = Net([8], two = true)
        model Other {
            input image: 1x8x8
            input more: 1x8x8
            a = first: Unit(image, 4)
            b = second: Unit(more, 4)
            output sum = a + b
        }
        """,
        backend,
    )
    unit = "Unit" if backend == "torch" else "unit"
    assert definitions(source).count(unit) == 1
    assert len(re.findall(rf"\b{unit}\(", source)) >= 3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["torchvision/resnet", "torchvision/squeezenet", "keras/resnet_v2"])
def test_families_of_the_zoo(name: str, backend: str) -> None:
    source = cnnspec.compile_all(SPECS / f"{name}.cnn", backend)
    assert len(source.splitlines()) < 340
    if name == "torchvision/resnet":
        models = definitions(source)[-10:]
        assert models[0] == "resnet18"
        assert models[-1] == "wide_resnet101_2"
        assert len(source.splitlines()) < 215


def test_every_model_is_run_on_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is wrong for one model of the file, at one value of its own parameters, is not given out."""
    from cnnspec_torch import emit

    usual = emit._derived
    monkeypatch.setattr(emit, "_derived", lambda *given: [one.replace("64]", "65]") for one in usual(*given)])
    with pytest.raises(WrongCode, match="Large"):
        module(PLAIN, "torch")
    monkeypatch.setattr(
        emit, "_derived", lambda *given: [one.replace("classes=classes", "classes=10") for one in usual(*given)]
    )
    with pytest.raises(WrongCode, match="Small"):
        module(PLAIN, "torch")


# ---- the command line ----------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, ["compile", *arguments])
    return result.exit_code, result.output


def test_command_line(tmp_path: Path) -> None:
    path = tmp_path / "nets.cnn"
    path.write_text(dedent(PLAIN), encoding="utf-8")
    code, printed = run(str(path), "--all", "-b", "torch")
    assert code == 0
    assert printed == cnnspec.compile_all(path)
    out = tmp_path / "nets.py"
    assert run(str(path), "--all", "-b", "keras", "--exact-training", "-o", str(out))[0] == 0
    assert out.read_text(encoding="utf-8") == cnnspec.compile_all(path, "keras", exact_training=True)
    assert "class BatchNormalization" in out.read_text(encoding="utf-8")
    code, printed = run(str(path), "--all", "-b", "torch", "--input", "3x64x64")
    assert code == 0
    assert "Input: image 3x64x64" in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "Small"], "`--model` has no place beside it"),
        (["--set", "classes=3"], "`--set` has no place beside it"),
        (["--input", "5x5"], "input"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], told: str) -> None:
    path = tmp_path / "nets.cnn"
    path.write_text(dedent(PLAIN), encoding="utf-8")
    code, printed = run(str(path), "--all", "-b", "torch", *arguments)
    assert code != 0
    assert told in printed
    assert "Traceback" not in printed


def test_files_without_models(tmp_path: Path) -> None:
    path = tmp_path / "nets.cnn"
    path.write_text("block Unit(width) { conv(width, 3x3) }\n", encoding="utf-8")
    code, printed = run(str(path), "--all", "-b", "torch")
    assert code == 1
    assert "no-model" in printed
    path.write_text("model Net(width) {\n    input image: 3x8x8\n    conv(width, 3x3)\n}\n", encoding="utf-8")
    code, printed = run(str(path), "--all", "-b", "torch")
    assert code == 1
    assert "width" in printed


def test_the_mistake_of_one_model(tmp_path: Path) -> None:
    path = tmp_path / "nets.cnn"
    path.write_text(dedent(PLAIN) + "model Odd = Net([8, 0])\n", encoding="utf-8")
    code, printed = run(str(path), "--all", "-b", "torch")
    assert code == 1
    assert "nets.cnn" in printed


def test_a_backend_that_writes_one_model_at_a_time() -> None:
    from cnnspec.backend import Backend

    class Single(Backend):
        name = "single"
        emit = runtime = missing = lambda *given: None

    with pytest.raises(LookupError, match="the backend single writes one model at a time"):
        Single().emit_family([])


def test_what_a_target_cannot_have() -> None:
    text = "model Net {\n    input image: 3x8x8\n    a = image -> conv(4, 3x3)\n    output image -> conv(4, 1x1)\n}\n"
    with pytest.raises(SpecError, match="nothing reads its result"):
        module(text, "keras")
