"""That generated code starts, in every framework, from the distributions that the spec names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow"])
def test_every_initialiser_on_every_kind_of_weight(target: str, tmp_path: Path) -> None:
    (tmp_path / "net.cnn").write_text(spec(), encoding="utf-8")
    name = target.partition("-")[0]
    command = [sys.executable, "-P", "-c", BUILD, name, target, str(tmp_path / "net.cnn"), str(tmp_path / "state.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    graph = cnnspec.loads(spec())
    with np.load(tmp_path / "state.npz") as state:
        faults = {key: wrong(weight.init, state[key]) for key, weight in graph.state.items()}
    assert not {key: fault for key, fault in faults.items() if fault}
