"""The command line: what it writes, where, and with which exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from cnnspec import zoo
from cnnspec.cli.application import COMMANDS, application
from cnnspec.graph import Graph
from cnnspec.version import __version__

GOOD = """\
model Net(classes = 10) {
    input image: 1x28x28

    conv(20, 5x5) -> relu -> max_pool(2x2)
    flatten
    dense(classes)
}
"""
TWO = GOOD + "\nmodel Other {\n    input x: 8\n\n    dense(3)\n}\n"
BAD = GOOD.replace("relu", "rellu")


def run(*arguments: str | Path, input: str | bytes | None = None) -> Result:
    return CliRunner().invoke(application, [str(argument) for argument in arguments], input=input)


def process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnnspec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write(tmp_path, GOOD)


def write(folder: Path, text: str | bytes, name: str = "net.cnn") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---- check ------------------------------------------------------------------------------------------------------


def test_check_of_blocks_alone(tmp_path: Path) -> None:
    blocks = write(
        tmp_path,
        "block A(n) {\n    input x: [C, H, W]\n    conv(n + C, 1x1)\n}\n\nblock B {\n    relu\n}\n",
        "blocks.cnn",
    )
    result = run("check", blocks)
    assert result.exit_code == 0
    assert "blocks.cnn: 2 blocks and no model (A, B)" in result.stdout
    data = json.loads(run("check", "--json", blocks).stdout)
    assert data == {"model": None, "blocks": ["A", "B"], "ok": True, "diagnostics": []}
    assert run("check", "--model", "A", blocks).exit_code == 1
    assert run("compile", "-b", "torch", blocks).exit_code == 1
    twice = write(tmp_path, "block A(n) {\n    relu\n}\n\nblock A {\n    relu\n}\n", "twice.cnn")
    result = run("check", twice)
    assert result.exit_code == 1
    assert "duplicate" in result.stderr
    assert result.stdout == ""
    misspelt = write(tmp_path, "block A(n) {\n    y = conv(n, 1x1) -> btch_norm\n    y -> B(m)\n}\n", "misspelt.cnn")
    result = run("check", misspelt)
    assert result.exit_code == 1
    assert "did you mean `batch_norm`?" in result.stderr
    assert "`B` is not defined" in result.stderr
    assert "`m` is not defined" in result.stderr
    unused = write(tmp_path, "block A(n) {\n    relu\n}\n", "unused.cnn")
    assert "`n` is never used" in run("check", unused).stderr
    assert run("check", write(tmp_path, "# nothing\n", "empty.cnn")).exit_code == 1


def test_check(spec: Path) -> None:
    result = run("check", spec)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("Net(classes = 10): 1x28x28 -> 10\n")
    assert "parameters   29,330 trainable" in result.stdout


def test_check_of_a_bad_spec(tmp_path: Path) -> None:
    result = run("check", write(tmp_path, BAD))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "did you mean `relu`?" in result.stderr
    assert "\x1b" not in result.stderr


def test_check_goes_on_with_the_next_spec(tmp_path: Path) -> None:
    result = run("check", write(tmp_path, BAD, "bad.cnn"), "no-such-spec", write(tmp_path, GOOD))
    assert result.exit_code == 1
    assert "unknown-spec" in result.stderr
    assert result.stdout.startswith("Net(")


def test_check_takes_every_model_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, TWO)
    assert run("check", path).stdout.count("parameters") == 2
    assert run("check", path, "--model", "other").stdout.startswith("Other:")
    wrong = run("check", path, "--model", "Othr")
    assert wrong.exit_code == 1
    assert "did you mean `Other`?" in wrong.stderr


def test_check_shows_a_finding_in_a_shared_block_once(tmp_path: Path) -> None:
    shared = "block B {\n    input x\n    x -> rellu\n}\n"
    models = "".join(f"model M{i} {{\n    input x: 8\n    B\n}}\n" for i in range(2))
    result = run("check", write(tmp_path, shared + models), "--format", "short")
    assert result.exit_code == 1
    assert result.stderr.count("rellu") == 1


def test_check_warns_and_passes(tmp_path: Path) -> None:
    result = run("check", write(tmp_path, GOOD.replace("flatten", "spare = 1\n    flatten")), "--format", "short")
    assert result.exit_code == 0
    assert "warning[unused-name]" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_check_as_json(tmp_path: Path, spec: Path) -> None:
    data = json.loads(run("check", spec, "--json").stdout)
    assert data["ok"]
    assert data["params"] == 29_330
    assert data["diagnostics"] == []
    result = run("check", spec, write(tmp_path, BAD, "bad.cnn"), "--json")
    assert result.exit_code == 1
    good, bad = json.loads(result.stdout)
    assert good["ok"]
    assert not bad["ok"]
    assert bad["diagnostics"][0]["code"] == "unknown-name"
    assert bad["diagnostics"][0]["span"]["line"] == 4


def test_diagnostics_as_json(tmp_path: Path) -> None:
    result = run("check", write(tmp_path, BAD), "--format", "json")
    assert json.loads(result.stderr)[0]["code"] == "unknown-name"
    assert json.loads(run("check", "no-such-spec", "--format", "json").stderr)[0]["code"] == "unknown-spec"


def test_standard_input(tmp_path: Path) -> None:
    assert run("check", "-", input=GOOD).exit_code == 0
    assert "<stdin>:4" in run("check", "-", input=BAD).stderr


@pytest.mark.parametrize("form", [b"\xef\xbb\xbf%s", b"%s\r\n"], ids=["byte order mark", "CRLF"])
def test_forms_of_text(form: bytes, tmp_path: Path) -> None:
    text = GOOD.encode()
    if b"\r" in form:
        text = text.replace(b"\n", b"\r\n")
    assert run("check", write(tmp_path, form % text)).exit_code == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x93\x00\xff\xfe", "not-text"),
        (b"model\0", "not-text"),
        (b"", "no-model"),
        (b"# nothing\n", "no-model"),
        (b"((((" * 10_000, ""),
        (b"model A {\n input x: 8\n for i in range(10 ** 9) { relu }\n}", ""),
        (b"model A {\n input x: 8\n dense(" + b"9" * 10_000 + b")\n}", ""),
    ],
    ids=["binary", "null", "empty", "comment", "brackets", "turns", "digits"],
)
def test_unusable_files(content: bytes, code: str, tmp_path: Path) -> None:
    result = run("check", write(tmp_path, content), "--format", "short")
    assert result.exit_code == 1, result.stderr
    assert f"error[{code}" in result.stderr
    assert len(result.stderr) < 1000


@pytest.mark.parametrize("command", ["check", "summary", "graph"])
def test_unreadable_specs(command: str, tmp_path: Path) -> None:
    for spec, code in (
        ("no-such-spec", "unknown-spec"),
        ("no/such.cnn", "missing-file"),
        (str(tmp_path), "unreadable-file"),
        ("/dev/null", "no-model"),
        ("resnet5", "did you mean `resnet50`?"),
    ):
        result = run(command, spec)
        assert result.exit_code == 1, spec
        assert result.stdout == ""
        assert code in result.stderr


# ---- options that change the model ------------------------------------------------------------------------------


def test_set_and_input(spec: Path) -> None:
    result = run("check", spec, "--set", "classes=5", "--input", "3x32x32")
    assert result.stdout.startswith("Net(classes = 5): 3x32x32 -> 5\n")
    assert run("check", spec, "--set", "classes = 2 * 3 + 1", "--input", "image=1x8x8").stdout.startswith(
        "Net(classes = 7): 1x8x8"
    )
    assert "[1, H, W]" in run("check", "-", "--input", "[1, H, W]", input="model A {\ninput x: 1x8x8\nrelu\n}").stdout


VOICE = """\
model Voice(size = 16) {
    input wave: 1x16000
    input speaker: size

    sound = wave -> conv(4, 400, stride = 160) -> flatten
    concat(sound, speaker) -> dense(3)
}
"""
TWINS = "model Twins(size = 32) {\n    input a: [3, size]\n    input b: 3x32\n    a - b -> flatten -> dense(3)\n}\n"


@pytest.mark.parametrize("command", [["check"], ["summary"], ["compile", "-b", "torch"]])
def test_a_shape_must_say_which_input_it_is_for(command: list[str], tmp_path: Path) -> None:
    voice = write(tmp_path, VOICE)
    result = run(*command, voice, "--input", "1x4000")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1x4000 does not say which input it is for, of `wave: 1x16000`, `speaker: 16`" in result.stderr
    assert "write `--input wave=1x4000`" in result.stderr
    assert "write `--input speaker=8`" in run(*command, voice, "--input", "8").stderr
    assert "write `--input 'wave=[1, T]'`" in run(*command, voice, "--input", "[1, T]").stderr
    assert run(*command, voice, "--input", "1x4000", "--input", "speaker=8").exit_code == 0


def test_a_shape_for_all_inputs(tmp_path: Path) -> None:
    twins = write(tmp_path, TWINS)
    assert run("check", twins, "--input", "3x8").stdout.startswith("Twins(size = 32): a 3x8, b 3x8 -> 3\n")
    assert run("check", twins, "--set", "size=16", "--input", "3x8").exit_code == 2
    assert "a 3x8, b 3x8" in run("compile", "-b", "torch", twins, "--input", "3x8").stdout


def test_a_setting_can_be_a_layer() -> None:
    text = "model A(act = relu) {\n    input x: 8\n    act\n}\n"
    assert "leaky_relu" in run("summary", "-", "--set", "act=leaky_relu", input=text).stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "classes"], "a name and a value"),
        (["--set", "=3"], "a name and a value"),
        (["--set", "classes=1", "--set", "classes=2"], "given twice"),
        (["--set", "classes="], "<--set classes>:1:1"),
        (["--set", "classes=3 +"], "<--set classes>:1:"),
        (["--set", "classes=nowhere"], "<--set classes>:1:1"),
        (["--set", "classes=1 // 0"], "<--set classes>:1:"),
        (["--set", "classes=10 ** 10 ** 10"], "<--set classes>:1:"),
        (["--input", "3xx"], "<--input>:1:1"),
        (["--input", "image"], "<--input>:1:1"),
        (["--input", "3x0x8"], "sizes of at least 1"),
        (["--input", "[1, 2.5]"], "sizes of at least 1"),
        (["--input", "3x8x8", "--input", "1x8x8"], "given twice"),
        (["--input", "3,64,64"], "write `--input 3x64x64`, not `--input 3,64,64`"),
        (["--input", "3 x 64 x 64"], "write `--input 3x64x64`,"),
        (["--input", "(3, 64, 64)"], "write `--input 3x64x64`,"),
        (["--input", "3X64*64"], "write `--input 3x64x64`,"),
        (["--input", "wave:1x100"], "write `--input wave=1x100`,"),
        (["--input", "wave = 1 100"], "write `--input wave=1x100`,"),
        (["--format", "xml"], "xml"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage(options: list[str], says: str, spec: Path) -> None:
    result = run("check", spec, *options)
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    assert says in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "clases=3"], "did you mean `classes`?"),
        (["--set", "classes=-3"], "`units`"),
        (["--set", 'classes="many"'], "`units`"),
        (["--input", "picture=1x8x8"], "no input `picture`"),
        (["--input", "1x2x2"], "kernel"),
    ],
)
def test_values_that_do_not_fit(options: list[str], says: str, spec: Path) -> None:
    result = run("check", spec, *options)
    assert result.exit_code == 1
    assert says in result.stderr


def test_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = write(tmp_path, BAD)
    assert "\x1b[" in run("check", bad, "--color", "always").stderr
    assert "\x1b[" not in run("check", bad, "--color", "never").stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("check", bad).stderr


# ---- the other commands -----------------------------------------------------------------------------------------


def test_summary(spec: Path) -> None:
    assert "conv_1      conv 5x5      20x24x24     520" in run("summary", spec).stdout
    folded = run("summary", "resnet50", "--depth", "1").stdout
    assert "3 x Bottleneck" in folded
    assert "layer1.0" not in folded
    assert run("summary", spec, "--depth", "0").exit_code == 2


def test_summary_as_json(spec: Path) -> None:
    data = json.loads(run("summary", spec, "--json").stdout)
    assert {"model", "params", "trainable_params", "macs", "inputs", "outputs", "layers"} <= data.keys()
    assert [layer["path"] for layer in data["layers"]][:2] == ["conv_1", "relu_1"]


def test_warnings_of_a_summary_go_to_standard_error(tmp_path: Path) -> None:
    result = run("summary", write(tmp_path, GOOD.replace("flatten", "spare = 1\n    flatten")), "--json")
    assert "unused-name" in result.stderr
    assert json.loads(result.stdout)["model"] == "Net"


def test_a_file_with_several_models_needs_a_choice(tmp_path: Path) -> None:
    result = run("summary", write(tmp_path, TWO))
    assert result.exit_code == 1
    assert "--model" in result.stderr


def test_graph() -> None:
    graph = Graph.model_validate_json(run("graph", "lenet5").stdout)
    assert graph.params == 61_706
    assert json.loads(run("graph", "--schema").stdout)["$schema"].startswith("https://json-schema.org/")
    assert run("graph").exit_code == 2


def test_list() -> None:
    data = {entry["name"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert data.keys() == set(zoo.models())
    assert list(data).index("resnet18") < list(data).index("resnet101")
    assert data["conv520"]["params"] == 520
    assert data["conv520"]["library"] == "classics"
    lines = run("list", "--library", "classics").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [name for name in data if data[name]["library"] == "classics"]


def test_list_of_some() -> None:
    def names(*arguments: str) -> list[str]:
        return [entry["name"] for entry in json.loads(run("list", *arguments, "--json").stdout)]

    assert names("RESNET1", "--library", "torchvision", "--max-params", "5e7") == ["resnet18", "resnet101"]
    assert names("resnet", "wide", "--max-macs", "2e10") == ["wide_resnet50_2"]
    assert "name" in run("list", "resnet18").stdout
    nothing = run("list", "resnet18", "--library", "classics")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "there is no such network\n")
    assert run("list", "--library", "caffe").exit_code == 2


def test_show() -> None:
    text = run("show", "torchvision/resnet50").stdout
    assert text == (zoo.folder() / "torchvision" / "resnet.cnn").read_text(encoding="utf-8")
    assert run("show", "resnet50").stdout == text
    assert "did you mean `lenet5`?" in run("show", "lenet6").stderr


def test_layers() -> None:
    from cnnspec.layers import LAYERS

    result = run("layers")
    assert all(f"  {kind} " in result.stdout for kind in LAYERS)
    assert run("layers", "conv").stdout.startswith("### `conv`")
    assert run("layers", "--markdown").stdout.startswith("# Layers")
    assert json.loads(run("layers", "conv", "--json").stdout)["kind"] == "conv"
    assert [entry["kind"] for entry in json.loads(run("layers", "--json").stdout)] == list(LAYERS)
    wrong = run("layers", "conw")
    assert wrong.exit_code == 2
    assert "did you mean `conv`?" in wrong.stderr


def test_compile(spec: Path, tmp_path: Path) -> None:
    source = run("compile", spec, "--backend", "torch")
    assert source.exit_code == 0, source.stderr
    compile(source.stdout, "net.py", "exec")
    target = tmp_path / "net.py"
    assert run("compile", spec, "--backend", "torch", "-o", target).stdout == ""
    assert target.read_text(encoding="utf-8") == source.stdout
    assert [path.name for path in tmp_path.iterdir() if path.suffix not in (".cnn", ".py")] == []


@pytest.mark.parametrize(
    ("backend", "before", "after"), [("torch", "nn.Conv2d(", "nn.Conv1d("), ("keras", "name=", "nam=")]
)
def test_code_that_is_not_the_network_is_not_written(
    backend: str, before: str, after: str, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit = import_module(f"cnnspec_{backend}.emit")
    text = emit._File.text
    monkeypatch.setattr(emit._File, "text", lambda self: text(self).replace(before, after, 1))
    result = run("compile", spec, "--backend", backend, "-o", tmp_path / "net.py")
    assert result.exit_code == 3
    assert "error[internal-error]: the " in result.stderr
    assert "report it" in result.stderr
    assert not (tmp_path / "net.py").exists()


def test_compile_replaces_only_what_succeeded(tmp_path: Path) -> None:
    target = write(tmp_path, "before", "net.py")
    assert run("compile", write(tmp_path, BAD), "--backend", "torch", "-o", target).exit_code == 1
    assert target.read_text() == "before"


def test_compile_keeps_links_and_permissions(spec: Path, tmp_path: Path) -> None:
    target = write(tmp_path, "before", "real.py")
    target.chmod(0o755)
    link = tmp_path / "link.py"
    link.symlink_to(target)
    assert run("compile", spec, "--backend", "torch", "-o", link).exit_code == 0
    assert link.is_symlink()
    assert target.read_text() != "before"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_compile_to_a_device_leaves_it_one(spec: Path) -> None:
    assert run("compile", spec, "--backend", "torch", "-o", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--backend", "torhc"], "did you mean `torch`?"),
        (["--backend", "pytorch"], "did you mean `torch`?"),
        (["--backend", "TensorFlow"], "did you mean `keras`?"),
        (["--backend", "jax"], "did you mean `keras`?"),
        (["--backend", "caffe"], "installed: "),
        (["--backend", "torch", "-o", "no/such/folder/net.py"], "there is no folder `no/such/folder`"),
        (["--backend", "torch", "-o", "."], "it is a folder"),
    ],
)
def test_wrong_usage_of_compile(options: list[str], says: str, spec: Path) -> None:
    result = run("compile", spec, *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_compile_without_a_backend_tells_those_there_are(spec: Path) -> None:
    message = run("compile", spec).stderr
    assert {"keras", "torch"} <= set(re.findall(r"\w+", message.split("There are ")[1]))
    assert "reference" not in message


def test_fmt(tmp_path: Path) -> None:
    messy = write(tmp_path, GOOD.replace("conv(20, 5x5) ->", "conv( 20,5x5 )->"))
    checked = run("fmt", "--check", messy)
    assert checked.exit_code == 1
    assert "net.cnn" in checked.stderr
    shown = run("fmt", "--diff", messy)
    assert shown.exit_code == 1
    assert "+    conv(20, 5x5) -> relu" in shown.stdout
    assert run("fmt", messy).exit_code == 0
    assert messy.read_text() == GOOD
    assert run("fmt", "--check", messy).exit_code == 0
    assert run("fmt", "-", input="model A{\ninput x: 8\nrelu\n}").stdout.startswith("model A {\n    input x: 8\n")


def test_fmt_leaves_alone_what_it_cannot_read(tmp_path: Path) -> None:
    broken = write(tmp_path, "model {", "broken.cnn")
    messy = write(tmp_path, GOOD + "\n\n\n")
    result = run("fmt", broken, tmp_path / "missing.cnn", messy)
    assert result.exit_code == 1
    assert broken.read_text() == "model {"
    assert "missing-file" in result.stderr
    assert messy.read_text() == GOOD


class FakeReport(NamedTuple):
    """What `verify` gives back, as far as the command line looks at it."""

    ok: bool

    def as_text(self, *, colour: bool = False) -> str:
        return "agrees" if self.ok else "DISAGREES"

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok}


@pytest.mark.parametrize("ok", [True, False])
def test_verify(ok: bool, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def verify(graph: Graph, probes: list[Graph], **options: Any) -> FakeReport:
        calls.append({"model": graph.name, **options})
        return FakeReport(ok)

    monkeypatch.setattr("cnnspec.verify.verify", verify)
    result = run("verify", spec, "--targets", "torch, keras-jax", "--seed", "7")
    assert result.exit_code == (0 if ok else 1)
    assert result.stdout == ("agrees\n" if ok else "DISAGREES\n")
    assert result.stderr == ""
    asked = {"targets": ["torch", "keras-jax"], "level": "gradient", "steps": 5, "seed": 7, "batch": 3}
    assert calls == [{"model": "Net", **asked, "timeout": 600.0, "exact_training": False, "meter": None}]
    assert json.loads(run("verify", spec, "--json").stdout) == {"ok": ok}
    assert calls[1]["targets"] is None
    late = run("verify", spec, "--certificate", spec.parent / "nowhere" / "it.md")
    assert late.exit_code == 2
    assert "there is no folder" in late.stderr
    assert len(calls) == 2


def test_verify_that_cannot_begin(spec: Path) -> None:
    result = run("verify", spec, "--targets", "torhc")
    assert result.exit_code == 2
    assert "torhc" in result.stderr
    assert run("verify", spec, "--input", "[1, H, W]").exit_code in (1, 2)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("keras", "keras-tensorflow"),
        ("TensorFlow", "keras-tensorflow"),
        ("jax", "keras-jax"),
        ("pytorch", "torch"),
        ("keras-jacks", "keras-jax"),
    ],
)
def test_verify_on_a_target_that_is_not_there(given: str, hint: str, spec: Path) -> None:
    result = run("verify", spec, "--targets", given)
    assert result.exit_code == 2
    assert f"there is no target `{given}`; did you mean `{hint}`?" in result.stderr


@pytest.mark.parametrize("command", [["verify", "lenet5"], ["fuzz"]])
def test_targets_with_blanks_between(command: list[str]) -> None:
    result = run(*command, "--targets", "torch", "keras-jax")
    assert result.exit_code == 2
    assert "`keras-jax`; targets have commas and no blanks between them: `--targets torch,keras-jax`" in result.stderr
    result = run(*command, "spare")
    assert result.exit_code == 2
    assert result.stderr.endswith("there is an argument too many, `spare`\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_CNNSPEC_COMPLETE" in run("completion", shell).stdout


def test_completion_of_networks_and_layers() -> None:
    environment = {**os.environ, "_CNNSPEC_COMPLETE": "fish_complete", "COMP_WORDS": "cnnspec check resnet"}
    result = process(env={**environment, "COMP_CWORD": "resnet1"})
    assert "plain,resnet18" in result.stdout
    result = process(env={**environment, "COMP_WORDS": "cnnspec layers max", "COMP_CWORD": "max"})
    assert "plain,max_pool" in result.stdout


def test_help_and_version() -> None:
    top = run("--help")
    assert top.exit_code == 0
    assert all(f"  {name} " in top.stdout for name in COMMANDS)
    assert __version__ in run("--version").stdout
    for name in COMMANDS:
        assert run(name, "--help").exit_code == 0


def test_misspelt_command() -> None:
    result = run("sumary", "lenet5")
    assert result.exit_code == 2
    assert "did you mean `summary`?" in result.stderr
    assert "there are check" in run("frobnicate").stderr


# ---- trouble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (KeyboardInterrupt(), 130, ""),
        (RecursionError(), 1, "too deep"),
        (MemoryError(), 1, "memory"),
        (TypeError("a mistake"), 3, "internal error: TypeError: a mistake (test_cli.py:"),
    ],
)
def test_nothing_ends_in_a_traceback(
    error: BaseException, status: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(spec: str) -> None:
        raise error

    monkeypatch.setattr("cnnspec.loading.find", fail)
    result = run("check", "lenet5")
    assert result.exit_code == status
    assert says in result.stderr
    assert "Traceback" not in result.stderr


# ---- whole processes --------------------------------------------------------------------------------------------


def test_process_statuses_and_streams(tmp_path: Path) -> None:
    good = process("check", "conv520")
    assert (good.returncode, good.stderr) == (0, "")
    assert "520 trainable" in good.stdout
    bad = process("check", write(tmp_path, BAD))
    assert (bad.returncode, bad.stdout) == (1, "")
    assert process("chekc").returncode == 2


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    command = f"{sys.executable} -m cnnspec summary densenet201 --json | head -c 10"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert result.stdout == '{\n  "model'
    assert result.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
def test_a_full_disk() -> None:
    command = f"{sys.executable} -m cnnspec summary lenet5 > /dev/full"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_a_signal_to_end_cleans_up() -> None:
    """The process leaves by itself, so that what it began is undone, and is not killed on the spot."""
    code = (
        "import os, signal\nfrom cnnspec.cli import application as module\n"
        "def application(prog_name):\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGTERM)\n    finally:\n        print('cleaned up')\n"
        "module.application = application\nraise SystemExit(module.run())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (128 + signal.SIGTERM, "cleaned up\n", "")


def test_output_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    result = process("check", tmp_path / "é\udce9.cnn", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert result.returncode == 1
    assert "missing-file" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "resnet50"),
        ("summary", "lenet5"),
        ("list", "--library", "classics"),
        ("layers",),
        ("compile", "lenet5", "--backend", "torch"),
    ],
)
def test_commands_import_no_more_than_they_need(arguments: tuple[str, ...]) -> None:
    heavy = ["numpy", "rich", "torch", "tensorflow", "keras", "jax"]
    code = (
        "import sys; from cnnspec.cli import main\n"
        f"sys.argv = ['cnnspec', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit as end: status = end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], status, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stderr == "[] 0\n"


def test_importing_the_package_imports_nothing() -> None:
    code = (
        "import __future__, sys, typing; before = set(sys.modules); import cnnspec\n"
        "print(*sorted(set(sys.modules) - before))\n"
        "print(cnnspec.load.__name__, cnnspec.Graph.__name__, 'load' in dir(cnnspec))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout == "cnnspec cnnspec.version\nload Graph True\n"


def test_python_takes_paths_and_shapes(spec: Path) -> None:
    import cnnspec

    graph = cnnspec.load(spec, inputs=(3, 32, 32))
    assert graph.shape(graph.inputs[0].value) == (3, 32, 32)
    assert "3x32x32" in cnnspec.compile(spec, inputs=(3, 32, 32))
    assert cnnspec.compile(spec, inputs=(3, 32, 32)) == cnnspec.compile(str(spec), inputs={"image": (3, 32, 32)})
    with pytest.raises(ValueError, match=r"of `wave: 1x16000`, `speaker: 16`: write `inputs=\{\"wave\": \.\.\.\}`"):
        cnnspec.loads(VOICE, inputs=(1, 4000))


def test_python_that_gives_a_text_as_a_path() -> None:
    import cnnspec

    for text in (GOOD, "model A { }"):
        with pytest.raises(cnnspec.SpecError, match="this is the text of a spec") as caught:
            cnnspec.load(text)
        assert "`cnnspec.loads`" in str(caught.value)


def test_the_package_has_no_other_names() -> None:
    import cnnspec

    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        cnnspec.lode  # noqa: B018
