"""What a user gets from the wheel alone.  `make wheel` runs this in an environment of its own."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cnnspec.version import __version__

REPOSITORY = Path(__file__).parents[2]
SCRIPT = Path(sysconfig.get_path("scripts")) / "cnnspec"


def run(*command: str | Path, cwd: Path) -> str:
    finished = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("name", ["cnnspec", "cnnspec_grammar", "cnnspec_torch", "cnnspec_keras", "cnnspec_reference"])
def test_packages_are_the_installed_ones_and_typed(name: str) -> None:
    folder = Path(str(importlib.import_module(name).__file__)).parent
    assert folder.parent == Path(sysconfig.get_path("purelib"))
    assert (folder / "py.typed").exists()


@pytest.mark.parametrize("framework", ["torch", "tensorflow", "keras", "jax"])
def test_no_framework_comes_along(framework: str) -> None:
    assert importlib.util.find_spec(framework) is None


def test_version() -> None:
    assert importlib.metadata.version("cnnspec") == __version__


def test_every_spec_is_in_the_wheel() -> None:
    specs = REPOSITORY / "specs"
    installed = Path(sysconfig.get_path("purelib")) / "cnnspec" / "specs"
    expected = {file.relative_to(specs): file.read_bytes() for file in specs.rglob("*.cnn")}
    assert expected
    assert {file.relative_to(installed): file.read_bytes() for file in installed.rglob("*.cnn")} == expected


def test_check_as_script_and_as_module(tmp_path: Path) -> None:
    by_script = json.loads(run(SCRIPT, "check", "lenet5", "--json", cwd=tmp_path))
    by_module = json.loads(run(sys.executable, "-m", "cnnspec", "check", "lenet5", "--json", cwd=tmp_path))
    assert by_script == by_module
    assert by_script["params"] > 0


def test_list(tmp_path: Path) -> None:
    assert "resnet50" in run(SCRIPT, "list", cwd=tmp_path)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_compile(backend: str, tmp_path: Path) -> None:
    ast.parse(run(SCRIPT, "compile", "resnet18", "--backend", backend, cwd=tmp_path))
