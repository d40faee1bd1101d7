"""A third-party backend, as a distribution of its own: NumPy in place of a framework, and mistakes to order.

`install` writes the distribution into a folder; with that folder on the path it is found by its entry point like any
other.  The "source" that it emits is a Python file with a list ``FAULTS``, empty unless a test writes another:
``(target, path, what)``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnspec.verify.processes import Ending
from cnnspec.verify.worker import work

DISTRIBUTION = {
    "METADATA": "Metadata-Version: 2.1\nName: cnnspec-toy\nVersion: 0.1\n",
    "entry_points.txt": "[cnnspec.backends]\ntoy = cnnspec_toy:BACKEND\ntoy-definition = cnnspec_toy:DEFINITION\n",
    "RECORD": "",
}

MODULE = '''
from __future__ import annotations

import os
import sys
import time
import warnings

from cnnspec.backend import Backend, Gradients, LayerPass, Pass, Runtime


class ToyRuntime(Runtime):
    biased_running_variance = False

    def __init__(self, target, precision):
        self.target = target
        self.precision = precision

    def build(self, source, graph):
        names = {}
        exec(source, names)
        faults = {path: what for target, path, what in names.get("FAULTS", []) if target == self.target}
        if "crash" in faults.values():
            raise RuntimeError("the toy broke")
        if "abort" in faults.values():
            os.abort()
        if "sleep" in faults.values():
            time.sleep(600)
        warnings.warn("toys are for children")
        assert sys.stdin.read() == ""
        return {"faults": faults, "state": {}}

    def load(self, model, graph, state):
        for key in graph.state:
            model["state"][key] = state[key].astype(self.precision, copy=True)

    def state(self, model, graph):
        return {key: values.copy() for key, values in model["state"].items() if model["faults"].get(key) != "forget"}

    def forward(self, model, graph, inputs, *, training):
        import numpy

        state, faults = model["state"], model["faults"]
        values = {port.value: inputs[port.name].astype(self.precision) for port in graph.inputs}
        layers = {}
        for node in graph.layers:
            out = self.apply(node, [values[number] for number in node.inputs], state, training, faults.get(node.path))
            what = faults.get(node.path)
            if what == "scale":
                out = out * self.type(1.001)
            elif what == "nan":
                out = out * self.type(numpy.nan)
            elif what == "shape":
                out = numpy.concatenate([out, out[:, :1]], axis=1)
            elif what == "train-scale" and training:
                out = out * self.type(1.001)
            elif what == "learn" and node.weights:
                state[node.key(node.weights[0])][:] *= self.type(1.01)
            values[node.outputs[0]] = out
            if what not in ("hide", "hide-scale"):
                layers[node.path] = out
            else:
                values[node.outputs[0]] = out * self.type(1.001 if what == "hide-scale" else 1)
        outputs = {
            port.name: values[port.value]
            for port in graph.outputs
            if (training or not port.auxiliary) and faults.get(port.name) != "drop"
        }
        for name, what in faults.items():
            if what == "extra":
                outputs[name] = values[graph.outputs[0].value]
        return Pass(outputs, layers, self.state(model, graph))

    def gradients(self, model, graph, inputs, cotangents, *, training):
        """The reference's, with faults: ``slope`` for a node and ``lose`` for a key."""
        import numpy
        from cnnspec_reference.evaluation import gradients

        faults = model["faults"]
        state = {key: values.astype("float64") for key, values in model["state"].items()}
        self.forward(model, graph, inputs, training=training)
        found = gradients(graph, state, inputs, cotangents, training)
        for node in graph.layers:
            if faults.get(node.path) == "slope":
                for before in graph.layers:
                    for weight in before.weights:
                        if weight.trainable:
                            found.state[before.key(weight)] *= 1 + 1e-6
                    if before is node:
                        break
        kept = {key: values for key, values in found.state.items() if faults.get(key) != "lose"}
        cast = numpy.dtype(self.precision)
        return Gradients(
            {name: values.astype(cast) for name, values in found.inputs.items()},
            {key: values.astype(cast) for key, values in kept.items()},
        )

    def layer(self, model, graph, node, inputs, cotangents, *, training):
        """The reference's, times what the fault says; hidden layers have none."""
        from cnnspec_reference.evaluation import apply

        what = model["faults"].get(node.path)
        if what == "lonely":
            raise RuntimeError("alone it broke")
        if what in ("hide", "hide-scale"):
            return None
        state = {key: values.astype("float64") for key, values in model["state"].items()}
        result = apply(node, tuple(inputs), state, len(inputs[0]), training)
        if not cotangents:
            return LayerPass(result.outputs, (), {})
        pulled = result.pull(tuple(cotangents))
        wrong = what == "scale" or (what == "train-scale" and training)
        factor = 1.001 if wrong or (what == "coarse" and self.precision == "float32") else 1
        slope = 1 + 1e-6 if what == "slope" else 1
        return LayerPass(
            tuple(output * factor for output in result.outputs),
            tuple(gradient * slope for gradient in pulled.inputs),
            {name: gradient * slope for name, gradient in pulled.weights.items()},
        )

    def apply(self, node, inputs, state, training, fault):
        import numpy

        kind = node.layer.kind
        (x,) = inputs
        if kind == "flatten":
            return x.reshape(len(x), -1)
        if kind == "relu":
            return numpy.maximum(x, 0)
        if kind == "scale_shift":
            return x * self.type(node.layer.scale) + self.type(node.layer.shift)
        if kind == "dense":
            return x @ state[node.path + ".weight"].T + state[node.path + ".bias"]
        assert kind == "batch_norm", kind
        axes = (0, *range(2, x.ndim))
        weight, bias, mean, var = (
            state[f"{node.path}.{name}"].reshape(-1, *(1,) * (x.ndim - 2))
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        if training:
            count = x.size // x.shape[1]
            momentum = self.type(node.layer.momentum if fault != "momentum" else 0.2)
            batch_mean, batch_var = x.mean(axis=axes), x.var(axis=axes)
            moved = batch_var if self.biased_running_variance else batch_var * self.type(count / (count - 1))
            state[node.path + ".running_mean"][:] += momentum * (batch_mean - state[node.path + ".running_mean"])
            state[node.path + ".running_var"][:] += momentum * (moved - state[node.path + ".running_var"])
            mean, var = (v.reshape(mean.shape) for v in (batch_mean, batch_var))
        return (x - mean) / numpy.sqrt(var + self.type(node.layer.eps)) * weight + bias

    @property
    def type(self):
        import numpy

        return numpy.dtype(self.precision).type

    def versions(self):
        return {"toy": "0.1"}


class BiasedRuntime(ToyRuntime):
    biased_running_variance = True


class BoastingRuntime(BiasedRuntime):
    """Takes itself for biased when it is not."""

    def forward(self, model, graph, inputs, *, training):
        self.biased_running_variance = False
        try:
            return super().forward(model, graph, inputs, training=training)
        finally:
            self.biased_running_variance = True


RUNTIMES = {"toy-a": ToyRuntime, "toy-b": ToyRuntime, "toy-biased": BiasedRuntime, "toy-boasting": BoastingRuntime}


class ToyBackend(Backend):
    name = "toy"
    targets = (*RUNTIMES, "toy-absent")

    def emit(self, graph, probes):
        return "FAULTS = []\\n"

    def runtime(self, target, precision):
        return RUNTIMES[target](target, precision)

    def missing(self, target):
        return "the toy box" if target == "toy-absent" else None


class DefinitionBackend(ToyBackend):
    name = "toy-definition"
    targets = ("toy-definition",)
    emits = False

    def emit(self, graph, probes):
        return ""

    def runtime(self, target, precision):
        return ToyRuntime(target, precision)


BACKEND = ToyBackend()
DEFINITION = DefinitionBackend()
'''


def install(folder: Path) -> None:
    """Write the distribution into a folder, ready to be put on the path."""
    (folder / "cnnspec_toy.py").write_text(MODULE, encoding="utf-8")
    information = folder / "cnnspec_toy-0.1.dist-info"
    information.mkdir()
    for name, text in DISTRIBUTION.items():
        (information / name).write_text(text, encoding="utf-8")


def run_here(folders: Mapping[str, Path], *_: Any) -> dict[str, Ending]:
    """In place of `cnnspec.verify.processes.run`: one target after the other, in this process, with nobody watching."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for folder in folders.values():
            work(folder)
    return dict.fromkeys(folders, Ending(0.0))
