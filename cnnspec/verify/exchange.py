"""What the cross-check and the process of a target give each other: a folder of files.

In: ``job.json``, ``graph.json``, ``source.py``.  Weights and inputs are drawn on both sides and never written.  Out:
for each pass an ``.npz``, and ``result.json``, whose presence says that all of it is there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnnspec.backend import Precision
from cnnspec.graph import Graph
from cnnspec.weights import generator_for

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

Mode = Literal["evaluation", "training"]


class Setting(NamedTuple):
    """One of the four passes."""

    precision: Precision
    mode: Mode


SETTINGS = (
    Setting("float64", "evaluation"),
    Setting("float64", "training"),
    Setting("float32", "evaluation"),
    Setting("float32", "training"),
)

FOLDED = 2**12
"""The most numbers that are kept of a layer's result."""


class Observation(NamedTuple):
    """What is kept of a layer's result: its shape with the batch, its largest magnitude, its values, folded if many."""

    shape: tuple[int, ...]
    peak: float
    values: Array


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a target made of one pass.

    ``statistics`` are the running ones after it, in the spec's convention.  ``drift`` has the relative error of every
    other weight that differs from what was loaded, though a forward pass changes none; ``missing`` the state that the
    target does not have.
    """

    outputs: dict[str, Array]
    layers: dict[str, Observation]
    statistics: dict[str, Array]
    drift: dict[str, float]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What the process of a target is to do."""

    backend: str
    target: str
    seed: int
    batch: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a target made of all passes."""

    versions: dict[str, str]
    outcomes: dict[Setting, Outcome]


def observe(values: Array) -> Observation:
    """A layer's result in at most `FOLDED` numbers.

    Larger arrays are folded: every number is the sum of many values with random signs, over the square root of how
    many.  A difference in any one value shows, and rounding errors, which have signs of their own, stay as large
    relative to ``peak`` as they were.
    """
    import numpy

    flat = numpy.array(values, dtype=numpy.float64).reshape(-1)
    peak = float(numpy.abs(flat).max(initial=0.0))
    if flat.size > FOLDED:
        turns = -(-flat.size // FOLDED)
        bits = numpy.frombuffer(generator_for(0, "fold").bytes(turns * FOLDED // 8), dtype=numpy.uint8)
        flat = numpy.pad(flat, (0, turns * FOLDED - flat.size))
        numpy.negative(flat, out=flat, where=numpy.unpackbits(bits).view(numpy.bool_))
        flat = flat.reshape(turns, FOLDED).sum(axis=0) / sqrt(turns)
    return Observation(tuple(values.shape), peak, flat)


def write_job(folder: Path, job: Job, graph: Graph, source: str) -> None:
    (folder / "graph.json").write_text(graph.model_dump_json(), encoding="utf-8")
    (folder / "source.py").write_text(source, encoding="utf-8")
    (folder / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")


def read_job(folder: Path) -> tuple[Job, Graph, str]:
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    graph = Graph.model_validate_json((folder / "graph.json").read_text(encoding="utf-8"))
    return job, graph, (folder / "source.py").read_text(encoding="utf-8")


def write_outcome(folder: Path, setting: Setting, outcome: Outcome) -> dict[str, Any]:
    """Write the arrays of a pass; the rest of it comes back as plain data for `write_result`."""
    import numpy

    # The prefixes keep the names apart from each other, and from the parameter of `savez`, which is called `file`.
    arrays = {
        **{f"outputs/{name}": values for name, values in outcome.outputs.items()},
        **{f"layers/{path}": seen.values for path, seen in outcome.layers.items()},
        **{f"statistics/{key}": values for key, values in outcome.statistics.items()},
    }
    numpy.savez(folder / f"{'-'.join(setting)}.npz", allow_pickle=False, **arrays)
    return {
        "shapes": {path: seen.shape for path, seen in outcome.layers.items()},
        "peaks": {path: seen.peak for path, seen in outcome.layers.items()},
        "drift": outcome.drift,
        "missing": outcome.missing,
    }


def write_result(folder: Path, versions: dict[str, str], plain: dict[Setting, dict[str, Any]]) -> None:
    result = {"versions": versions, "outcomes": {"-".join(setting): rest for setting, rest in plain.items()}}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def read_result(folder: Path) -> Result:
    """The result of a process that ended well."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    outcomes = {setting: _read_outcome(folder, setting, result["outcomes"]["-".join(setting)]) for setting in SETTINGS}
    return Result(result["versions"], outcomes)


def _read_outcome(folder: Path, setting: Setting, rest: dict[str, Any]) -> Outcome:
    import numpy

    groups: dict[str, dict[str, Array]] = {"outputs": {}, "layers": {}, "statistics": {}}
    with numpy.load(folder / f"{'-'.join(setting)}.npz", allow_pickle=False) as arrays:
        for name in arrays.files:
            group, _, rest_of_name = name.partition("/")
            groups[group][rest_of_name] = arrays[name]
    return Outcome(
        outputs=groups["outputs"],
        layers={
            path: Observation(tuple(rest["shapes"][path]), rest["peaks"][path], values)
            for path, values in groups["layers"].items()
        },
        statistics=groups["statistics"],
        drift=rest["drift"],
        missing=tuple(rest["missing"]),
    )
