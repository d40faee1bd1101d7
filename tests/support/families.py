"""Models of a family module beside the same models in modules of their own, for a process that has one backend."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from cnnspec import api, loading
from cnnspec.backend import backend, is_part
from cnnspec.codegen.naming import function_name, safe
from cnnspec.weights import draw

SHAPE = {"image": (3, 32, 32)}


def differences(
    spec: str, target: str, models: Sequence[tuple[str, dict[str, Any]]]
) -> list[tuple[str, float, float, int]]:
    """For each model with its arguments: its name, how far its outputs are off, how large they are, and its parameters.

    Both have the same weights, by name.  Raises ValueError where they have others.
    """
    emitter = next(one for one in map(backend, ("torch", "keras")) if is_part(one.name, target))
    runtime: Any = emitter.runtime(target, "float64")
    found = loading.find(spec)
    members = api.load_all_for_compiling(found, inputs=SHAPE)
    module = ModuleType("family")
    source = emitter.emit_family(members)
    exec(compile(source, "family", "exec"), module.__dict__)
    results = []
    for name, arguments in models:
        graph = api.load_text(found, name, inputs=SHAPE, **arguments)
        make = getattr(module, function_name(name), None) or getattr(module, safe(name))
        state = draw(graph, 3)
        (port,) = graph.inputs
        inputs = {port.name: np.random.default_rng(5).normal(size=(2, *SHAPE["image"]))}
        outputs = []
        for alone in (True, False):
            if alone:
                model = runtime.build(emitter.emit(graph, []), graph)
            elif emitter.name == "keras":
                with runtime._exact():
                    model = make(**arguments)
            else:
                model = make(**arguments).double()
            runtime.load(model, graph, state)
            outputs.append(runtime.forward(model, graph, inputs, training=False).outputs)
        off = max(float(np.abs(outputs[0][key] - outputs[1][key]).max()) for key in outputs[0])
        results.append((name, off, max(float(np.abs(one).max()) for one in outputs[0].values()), graph.params))
    return results
