"""What the cross-check and the process of a target give each other: a folder of files.

In: ``job.json``, ``graph.json``, ``source.py``.  Weights and inputs are drawn on both sides and never written.  Out:
for each pass, gradient and step an ``.npz``, and ``result.json``, whose presence says that all of it is there; or
``search.json`` or ``rounding.json`` alone.  ``progress`` says how far a process has come.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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

Level = Literal["forward", "gradient", "train"]
Mode = Literal["evaluation", "training"]
Method = Literal["sgd", "adam"]
Task = Literal["run", "search", "rounding"]

MODES: tuple[Mode, ...] = ("evaluation", "training")
LEVELS: tuple[Level, ...] = ("forward", "gradient", "train")
"""What can be compared, each with all before it."""


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


class Course(NamedTuple):
    """Some steps of training."""

    precision: Precision
    method: Method


COURSES = (Course("float64", "sgd"), Course("float64", "adam"), Course("float32", "sgd"))
"""What level ``train`` runs; in float32 one step of it.

Not Adam in float32: its first step divides each gradient by its own size, and so makes a step of a rounding error.
"""

OUTPUT = "its output"
"""What the output of a layer alone is called."""

FOLDED = 2**12
"""The most numbers that are kept of a layer's result, and of a weight after a step."""
FOLDED_GRADIENT = 2**16
"""The most numbers that are kept of a gradient."""


class Observation(NamedTuple):
    """What is kept of a large array: its shape with the batch, its largest magnitude, its values, folded if many."""

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
class Slopes:
    """Gradients as a target computed them: with respect to the inputs, by name, and to the weights, by key."""

    inputs: dict[str, Observation]
    weights: dict[str, Observation]


class Direction(NamedTuple):
    """A gradient along a random direction of some input or weights, against the difference that a small step makes.

    ``error`` is relative to the length of the gradient, which is how large the slope along a random direction is.
    """

    mode: Mode
    what: str
    error: float


class Fault(NamedTuple):
    """A layer that goes wrong alone, on the inputs that the definition computed: in what of it, and how far."""

    path: str
    mode: Mode
    what: str
    error: float


class Single(NamedTuple):
    """A layer in float32 alone, on inputs without rounding, against the definition in float64: the largest errors.

    ``alike`` is how many layers of the network it stands for: of the same kind, arguments and shapes.  ``own`` says
    whether it ran in the network's code, or in code of its own from the same emitter.  ``gradients`` are by what they
    are called, ``steps`` (the weights after one step of training) by the names of weights.
    """

    path: str
    mode: Mode
    alike: int
    own: bool
    output: float
    gradients: dict[str, float]
    steps: dict[str, float]


@dataclass(frozen=True, slots=True)
class Search:
    """What came of running every layer alone; ``unseen`` are the paths of those that the code has in expressions."""

    faults: tuple[Fault, ...]
    unseen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rounding:
    """How far rounding every value once moves each array, absolutely; see `cnnspec.verify.rounding`.

    ``passes`` are by mode and by the array's name, ``courses`` by method, step and key.
    """

    passes: Mapping[Mode, Mapping[str, float]] = field(default_factory=dict)
    courses: Mapping[Method, Sequence[Mapping[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """What the process of a target is to do.

    ``run`` makes a `Result`; ``search`` runs every layer alone on what the definition gives it; ``rounding`` measures
    what rounding makes of the network in these ``modes`` and of training by these ``methods``, on the definition
    itself.  ``definition`` is the backend that evaluates the network by definition, empty where there is none.
    With ``exact_training`` a running variance must be the spec's, whatever the framework's own layer does.
    """

    backend: str
    target: str
    seed: int
    batch: int
    level: Level = "forward"
    steps: int = 5
    definition: str = ""
    exact_training: bool = False
    task: Task = "run"
    modes: Sequence[Mode] = MODES
    methods: Sequence[Method] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a target made of all passes.

    What has no code computes in float64 alone, and has ``directions``; what has code has ``singles``.  ``inexact`` has
    the kinds of layers whose gradient the framework rounds to float32.
    """

    versions: dict[str, str]
    outcomes: dict[Setting, Outcome]
    slopes: dict[Setting, Slopes] = field(default_factory=dict)
    courses: dict[Course, tuple[dict[str, Observation], ...]] = field(default_factory=dict)
    directions: tuple[Direction, ...] = ()
    singles: tuple[Single, ...] = ()
    inexact: frozenset[str] = frozenset()
    sizes: tuple[Outcome | str, ...] = ()
    """A pass in evaluation at each of the network's `other_sizes`, or what went wrong there."""


def observe(values: Array, most: int = FOLDED) -> Observation:
    """An array in at most ``most`` numbers, a power of two.

    Larger arrays are folded: every number is the sum of many values with random signs, over the square root of how
    many.  A difference in any one value shows, and rounding errors, which have signs of their own, stay as large
    relative to ``peak`` as they were.
    """
    import numpy

    flat = numpy.array(values, dtype=numpy.float64).reshape(-1)
    peak = float(numpy.abs(flat).max(initial=0.0))
    if flat.size > most:
        turns = -(-flat.size // most)
        bits = numpy.frombuffer(generator_for(0, "fold").bytes(turns * most // 8), dtype=numpy.uint8)
        flat = numpy.pad(flat, (0, turns * most - flat.size))
        numpy.negative(flat, out=flat, where=numpy.unpackbits(bits).view(numpy.bool_))
        flat = flat.reshape(turns, most).sum(axis=0) / sqrt(turns)
    return Observation(tuple(values.shape), peak, flat)


def write_job(folder: Path, job: Job, graph: Graph, source: str) -> None:
    (folder / "graph.json").write_text(graph.model_dump_json(), encoding="utf-8")
    (folder / "source.py").write_text(source, encoding="utf-8")
    (folder / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")


def read_job(folder: Path) -> tuple[Job, Graph, str]:
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    graph = Graph.model_validate_json((folder / "graph.json").read_text(encoding="utf-8"))
    return job, graph, (folder / "source.py").read_text(encoding="utf-8")


def write_outcome(folder: Path, setting: Sequence[str], outcome: Outcome) -> dict[str, Any]:
    """Write the arrays of a pass; the rest of it comes back as plain data for `write_result`."""
    import numpy

    # The prefixes keep the names apart from each other, and from the parameters of `savez`.
    arrays: dict[str, Any] = {
        **{f"outputs/{name}": values for name, values in outcome.outputs.items()},
        **{f"layers/{path}": seen.values for path, seen in outcome.layers.items()},
        **{f"statistics/{key}": values for key, values in outcome.statistics.items()},
    }
    numpy.savez(folder / f"{'-'.join(setting)}.npz", **arrays)
    return {
        "shapes": {path: seen.shape for path, seen in outcome.layers.items()},
        "peaks": {path: seen.peak for path, seen in outcome.layers.items()},
        "drift": outcome.drift,
        "missing": outcome.missing,
    }


def write_observations(folder: Path, name: str, observations: Mapping[str, Observation]) -> dict[str, Any]:
    """Write the numbers of some arrays; the rest comes back as plain data for `write_result`."""
    import numpy

    arrays: dict[str, Any] = {f"values/{key}": seen.values for key, seen in observations.items()}
    numpy.savez(folder / f"{name}.npz", **arrays)
    return {key: [seen.shape, seen.peak] for key, seen in observations.items()}


def write_result(
    folder: Path,
    versions: dict[str, str],
    plain: Mapping[Setting, Any],
    slopes: Mapping[Setting, Any],
    courses: Mapping[Course, Any],
    directions: Iterable[Direction],
    singles: Iterable[Single],
    inexact: Iterable[str],
    sizes: Sequence[Any],
) -> None:
    result = {
        "versions": versions,
        "outcomes": {"-".join(setting): rest for setting, rest in plain.items()},
        "slopes": {"-".join(setting): rest for setting, rest in slopes.items()},
        "courses": {"-".join(course): rest for course, rest in courses.items()},
        "directions": list(directions),
        "singles": list(singles),
        "inexact": sorted(inexact),
        "sizes": sizes,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def read_result(folder: Path) -> Result:
    """The result of a process that ended well."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    slopes = {}
    for setting in SETTINGS:
        rest = result["slopes"].get("-".join(setting))
        if rest is not None:
            name = "-".join(("slopes", *setting))
            slopes[setting] = Slopes(
                _read_observations(folder, f"{name}-inputs", rest["inputs"]),
                _read_observations(folder, f"{name}-weights", rest["weights"]),
            )
    courses = {
        course: tuple(
            _read_observations(folder, "-".join((*course, str(number))), rest)
            for number, rest in enumerate(result["courses"]["-".join(course)], 1)
        )
        for course in COURSES
        if "-".join(course) in result["courses"]
    }
    return Result(
        versions=result["versions"],
        outcomes={
            setting: _read_outcome(folder, setting, result["outcomes"]["-".join(setting)])
            for setting in SETTINGS
            if "-".join(setting) in result["outcomes"]
        },
        slopes=slopes,
        courses=courses,
        directions=tuple(Direction(*one) for one in result["directions"]),
        singles=tuple(Single(*one) for one in result["singles"]),
        inexact=frozenset(result["inexact"]),
        sizes=tuple(
            rest if isinstance(rest, str) else _read_outcome(folder, at_size(number), rest)
            for number, rest in enumerate(result["sizes"])
        ),
    )


def write_search(folder: Path, search: Search) -> None:
    (folder / "search.json").write_text(json.dumps(asdict(search)), encoding="utf-8")


def read_search(folder: Path) -> Search:
    """What a process found that ran every layer alone."""
    found = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    return Search(tuple(Fault(*one) for one in found["faults"]), tuple(found["unseen"]))


def write_rounding(folder: Path, found: Rounding) -> None:
    (folder / "rounding.json").write_text(json.dumps(asdict(found)), encoding="utf-8")


def read_rounding(folder: Path) -> Rounding:
    """What a process measured."""
    return Rounding(**json.loads((folder / "rounding.json").read_text(encoding="utf-8")))


def write_progress(folder: Path, done: int, of: int) -> None:
    """Tell the parent how far a process has come; it may read at any moment."""
    new = folder / "progress.new"
    new.write_text(f"{done} {of}", encoding="utf-8")
    new.replace(folder / "progress")


def read_progress(folder: Path) -> tuple[int, int]:
    """How much is done, of how much."""
    try:
        done, of = (folder / "progress").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return 0, 1
    return int(done), int(of)


def _read_observations(folder: Path, name: str, rest: dict[str, Any]) -> dict[str, Observation]:
    import numpy

    with numpy.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: Observation(tuple(shape), peak, arrays[f"values/{key}"]) for key, (shape, peak) in rest.items()}


def at_size(number: int) -> tuple[str, ...]:
    """What the pass at one of the other sizes is called, in place of a setting."""
    return "float64", "evaluation", str(number)


def _read_outcome(folder: Path, setting: Sequence[str], rest: dict[str, Any]) -> Outcome:
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
