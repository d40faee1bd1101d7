"""That generated code starts, in every framework, from the distributions that the spec names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cnnspec
from support.initialisers import spec, wrong

BUILD = """
import sys
import numpy
import cnnspec
from cnnspec.backend import backend

name, target, spec, out = sys.argv[1:]
graph = cnnspec.load(spec)
chosen = backend(name)
runtime = chosen.runtime(target, "float32")
if name == "torch":
    import torch
    torch.manual_seed(1)
else:
    import keras
    keras.utils.set_random_seed(1)
model = runtime.build(chosen.emit(graph, []), graph)
numpy.savez(out, **runtime.state(model, graph))
"""


def started(text: str, target: str, folder: Path) -> dict[str, NDArray[np.floating]]:
    """What the generated code of a spec starts from."""
    (folder / "net.cnn").write_text(text, encoding="utf-8")
    name = target.partition("-")[0]
    command = [sys.executable, "-P", "-c", BUILD, name, target, str(folder / "net.cnn"), str(folder / "state.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "state.npz") as state:
        return dict(state)


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow"])
def test_every_initialiser_on_every_kind_of_weight(target: str, tmp_path: Path) -> None:
    state = started(spec(), target, tmp_path)
    faults = {key: wrong(weight.init, state[key]) for key, weight in cnnspec.loads(spec()).state.items()}
    assert not {key: fault for key, fault in faults.items() if fault}


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow"])
def test_equal_layers_start_differently(target: str, tmp_path: Path) -> None:
    """That a constant of the file is not one initialiser, which would draw the same values again."""
    layer = "dense(30, init = variance_scaling(2, fan = out, distribution = truncated_normal))"
    text = f"model Net {{\n    input x: 30\n    first: {layer} -> second: {layer} -> third: {layer}\n}}\n"
    state = started(text, target, tmp_path)
    assert len({state[f"{name}.weight"].tobytes() for name in ("first", "second", "third")}) == 3
