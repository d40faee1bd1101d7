"""One model of the zoo in one framework: ``python benchmarks/zoo_process.py torch|keras FOLDER``.

The folder has ``job.json``.  The framework that has the original goes first: the original saves its weights there as
its users do, and both frameworks read that file.  Each leaves its outputs in ``torch.npz`` or ``keras.npz`` and the
rest in ``torch.json`` or ``keras.json``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cnnspec.backend import backend
from cnnspec.codegen.naming import safe
from cnnspec.weights import generator_for, read
from support import keras_models
from support.keras_models import BATCH, SEED, TARGET, generated

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

PRECISIONS = ("float64", "float32")
GAINS = (2.0, 1.6, 1.3, 1.0)
"""The variances of kernels, times their fan, that are tried until the original itself is not chaotic.

With He's 2 an image reaches the end of any of these networks, and some deep ones, such as EfficientNetV2-L, make of
float32's rounding a difference as large as their output: no other float32 computation could then be near.
"""
MOST_ROUNDING = 3e-6
"""How far the original in float32 may be from itself in float64."""


def main(side: str, folder: Path) -> None:
    began = time.monotonic()
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    outputs, findings = {"torch": in_torch, "keras": in_keras}[side](job, folder)
    findings["seconds"] = time.monotonic() - began
    findings["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    import numpy

    numpy.savez(folder / f"{side}.npz", allow_pickle=False, **outputs)
    (folder / f"{side}.json").write_text(json.dumps(findings), encoding="utf-8")


def in_torch(job: dict[str, Any], folder: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Generated PyTorch, and before it torchvision's network where that is the original."""
    import numpy
    import torch

    from cnnspec_torch.runtime import import_source
    from support.torchvision_models import drawn, reference

    def call(model: Any) -> Array:
        with torch.inference_mode():
            found: Array = model(torch.from_numpy(image).to(next(model.parameters()).dtype)).numpy().copy()
        return found

    outputs: dict[str, Array] = {}
    findings: dict[str, Any] = {"gradients": None}
    graph, source = generated(job["spec"], tuple(job["shape"]), "torch", job["parameters"])
    file = folder / job["file"]
    slopes = {}
    if job["library"] == "torchvision":
        image = generator_for(SEED, "image").normal(0.3, 1.0, (BATCH, *job["shape"])).astype(numpy.float32)
        numpy.save(folder / "image.npy", image)
        for gain in GAINS:
            theirs = reference(job["name"]).eval()
            theirs.load_state_dict(drawn(theirs, gain), strict=True, assign=True)
            torch.save(theirs.state_dict(), file)
            outputs["original/float32"] = call(theirs)
            theirs.double()
            outputs["original/float64"] = call(theirs)
            findings["gain"] = gain
            if well_conditioned(outputs):
                break
        if job["gradients"]:
            slopes = torch_gradients(theirs, image)
        del theirs
    image = numpy.load(folder / "image.npy")
    with torch.device("meta"):
        ours = getattr(import_source(source, graph.name), safe(graph.name))()
    if job["library"] == "torchvision":
        # The original's own file into the generated code, with nothing of cnnspec between them.
        state = torch.load(file, weights_only=True)
    else:
        state = {key: torch.from_numpy(array) for key, array in read(file, graph).items()}
        state.update((key, torch.zeros((), dtype=torch.int64)) for key in ours.state_dict() if key not in state)
    ours.load_state_dict(state, strict=True, assign=True)
    del state
    ours.eval()
    outputs["generated/float32"] = call(ours)
    ours.double()
    outputs["generated/float64"] = call(ours)
    if slopes:
        findings["gradients"] = largest(slopes, torch_gradients(ours, image))
    findings["versions"] = {"torch": torch.__version__}
    return outputs, findings


def well_conditioned(outputs: Mapping[str, Array]) -> bool:
    """Whether the original's rounding in float32 is small."""
    rounded, exact = outputs["original/float32"], outputs["original/float64"]
    return bool(abs(rounded - exact).max() <= MOST_ROUNDING * abs(exact).max())


def torch_gradients(model: Any, image: Array) -> dict[str, Array]:
    """Gradients of the outputs times a fixed cotangent with respect to the image and every parameter, in float64.

    Only parameters on the way to the output have one: those of auxiliary heads do not.
    """
    import torch

    given = torch.from_numpy(image).double().requires_grad_()
    output = model(given)
    sources = {"image": given, **dict(model.named_parameters())}
    found = torch.autograd.grad(
        output, list(sources.values()), torch.from_numpy(cotangent(tuple(output.shape))), allow_unused=True
    )
    return {key: slope.numpy() for key, slope in zip(sources, found, strict=True) if slope is not None}


def in_keras(job: dict[str, Any], folder: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Generated Keras, and before it the network of keras.applications where that is the original."""
    import numpy

    keras = keras_models.import_keras()
    import tensorflow

    outputs: dict[str, Array] = {}
    findings: dict[str, Any] = {"gradients": None}
    shape, file = tuple(job["shape"]), folder / job["file"]
    slopes = {}
    graph, source = generated(job["spec"], shape, "keras", job["parameters"])
    if job["library"] == "keras":
        for gain in GAINS:
            image = keras_models.save_original(job["name"], shape, file, gain)
            outputs.update(keras_models.original_outputs(job["name"], shape, file, image, PRECISIONS))
            findings["gain"] = gain
            if well_conditioned(outputs):
                break
        numpy.save(folder / "image.npy", image)
        if job["gradients"]:
            slopes = original_gradients(job["name"], graph, file, image, folder / "gradients.weights.h5")
    image = numpy.load(folder / "image.npy")
    weights = read(file, graph)
    found = keras_models.generated_outputs(graph, source, weights, image, PRECISIONS)
    outputs.update((key.replace("keras/", "generated/"), value) for key, value in found.items())
    if slopes:
        with keras_models.precision("float64"):
            runtime = backend("keras").runtime(TARGET, "float64")
            model = runtime.build(source, graph)
            runtime.load(model, graph, weights)
            (inputs,), (output,) = graph.inputs, graph.outputs
            pulled = runtime.gradients(
                model,
                graph,
                {inputs.name: image},
                {output.name: cotangent(outputs["original/float64"].shape)},
                training=False,
            )
        ours = {"image": pulled.inputs[inputs.name], **pulled.state}
        findings["gradients"] = largest({key: slopes[key] for key in ours}, ours)
    findings["versions"] = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
    return outputs, findings


def original_gradients(name: str, graph: Any, file: Path, image: Array, kept: Path) -> dict[str, Array]:
    """As `torch_gradients`, of a network of keras.applications, by the spec's keys.

    They are put in the place of its weights and saved as such: reading that file gives them the spec's names and order.
    """
    import tensorflow

    with keras_models.precision("float64"), keras_models.whole_constants():
        model = keras_models.original(name, image.shape[1:])
        model.load_weights(file)
        given = tensorflow.constant(keras_models.channels_last(image, "float64"))
        with tensorflow.GradientTape() as tape:
            tape.watch(given)
            output = model(given, training=False)
        sources = [given, *(variable.value for variable in model.trainable_variables)]
        found = tape.gradient(output, sources, output_gradients=cotangent(tuple(output.shape)))
        for variable, slope in zip(model.trainable_variables, found[1:], strict=True):
            variable.assign(slope)
        model.save_weights(kept)
    return {"image": found[0].numpy().transpose(0, 3, 1, 2), **read(kept, graph)}


def cotangent(shape: tuple[int, ...]) -> Array:
    """What the outputs are multiplied with before they are summed up."""
    return generator_for(SEED, "cotangent").standard_normal(shape)


def largest(theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> dict[str, Any]:
    """The largest difference of any gradient, relative to the largest magnitude of that gradient."""
    if theirs.keys() != ours.keys():
        raise ValueError(f"gradients of {sorted(theirs.keys() ^ ours.keys())[:5]} on one side only")
    found = {key: float(abs(ours[key] - theirs[key]).max() / abs(theirs[key]).max()) for key in theirs}
    image = found.pop("image")
    worst = max(found, key=lambda key: found[key])
    return {"image": image, "weights": found[worst], "worst": worst, "count": len(found)}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
