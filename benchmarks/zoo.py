"""Every network of torchvision and keras.applications against its original: the tables in ``docs/zoo.md``.

Each network has a process for each framework.  What they find stays in ``build/zoo`` and is used again while the
generated code and the versions of the frameworks are the same; ``docs/zoo.md`` is written from it.
"""

from __future__ import annotations

import argparse
import ast
import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cnnspec import api, loading, zoo
from cnnspec.backend import emitter
from cnnspec.diagnostics import SpecError
from cnnspec.graph import Graph, Node
from cnnspec.layers.base import EVERYTHING, Window

REPOSITORY = Path(__file__).parent.parent
DATA = REPOSITORY / "tests" / "data"
RESULTS = REPOSITORY / "build" / "zoo"
DOCS = REPOSITORY / "docs" / "zoo.md"
BEGIN, END = "<!-- measurements: written by `make zoo` -->\n", "<!-- end of measurements -->\n"

LIBRARIES = {"torchvision": "torchvision", "keras": "keras.applications"}
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras"}
HOME = {"torchvision": "torch", "keras": "keras"}
"""The framework of a library's originals, which has to run first."""
FILES = {"torchvision": "weights.pth", "keras": "original.weights.h5"}
COUNTS = ("parameters", "trainable", "MACs")
GATES = {"float64": 1e-10, "float32": 1e-5}
MOST_MACS = 1_000_000_000
"""More expensive networks run on smaller images: at most this many multiply-accumulates for one."""
LEAST_SIZE = {"Xception": 71}
"""What keras.applications refuses to go below, where that is above 32."""
METHOD = 2
"""To be increased when the measurement changes, so that nothing found by the former one is used."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A model of the corpora: what its library says of it, and the parameters that the spec has the same with."""

    library: str
    name: str
    params: int
    trainable: int
    macs: int
    parameters: dict[str, Any]

    @property
    def spec(self) -> str:
        return f"{self.library}/{self.name.lower()}"

    @property
    def label(self) -> str:
        return f"{self.library}-{self.name}"


@cache
def claims() -> tuple[Claim, ...]:
    """All models of both libraries, as tests/data has them."""
    found = []
    with (DATA / "torchvision.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["is_cnn"] == "True" and row["variant"] == "default":
                parameters = {"auxiliary_heads": True} if row["name"] in ("googlenet", "inception_v3") else {}
                counts = int(row["params"]), int(row["trainable"]), int(row["macs"])
                found.append(Claim("torchvision", row["name"], *counts, parameters))
    with (DATA / "keras_applications.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counts = int(row["total_params"]), int(row["trainable"]), int(row["macs"])
            found.append(Claim("keras", row["name"], *counts, {}))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is measured."""

    claim: Claim
    family: str
    counts: tuple[int, int, int]
    shape: tuple[int, ...]
    reduced: bool
    key: str


def plan(claim: Claim) -> Plan:
    """Raises `SpecError` where there is no such spec, or it does not hold."""
    network = zoo.find(claim.spec)
    if network is None:
        raise LookupError(f"there is no spec `{claim.spec}`")
    graph = api.load(claim.spec, **claim.parameters)
    (port,) = graph.inputs
    shape = tuple(int(size) for size in graph.shape(port.value))
    small = shape if affordable(graph) else smallest(claim, port.name, shape)
    found, probes = api.load_for_compiling(
        loading.find(claim.spec), inputs={port.name: small}, parameters=claim.parameters
    )
    code = [emitter(backend).emit(found, probes) for backend in FRAMEWORKS]
    versions = [version(name) for name in ("torch", "torchvision", "keras", "tensorflow", "numpy")]
    identity = json.dumps([METHOD, code, small, list(found.state), versions])
    counts = params_as_counted_by(claim.library, graph), graph.params, int(graph.macs)
    return Plan(claim, network.path.stem, counts, small, small != shape, blake2b(identity.encode()).hexdigest())


def params_as_counted_by(library: str, graph: Graph) -> int:
    """All parameters: for Keras with running statistics, and with the counter that its `Normalization` keeps."""
    if library == "torchvision":
        return graph.params
    counters = sum(node.layer.kind == "normalize" and bool(node.weights) for node in graph.layers)
    return graph.params + graph.buffer_elements + counters


def affordable(graph: Graph) -> bool:
    return int(graph.macs) <= MOST_MACS


def smallest(claim: Claim, port: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The smallest square image, in steps of 32, on which every layer has something to do; else the original one."""
    channels, height, _ = shape
    for size in range(32, height, 32):
        if size < LEAST_SIZE.get(claim.name, 0):
            continue
        small = (channels, size, size)
        try:
            graph = api.load(claim.spec, inputs={port: small}, **claim.parameters)
        except SpecError:
            continue
        if all(exercised(node, graph) for node in graph.layers if not node.auxiliary):
            return small
    return shape


def exercised(node: Node, graph: Graph) -> bool:
    """Whether every place of a layer's window comes to lie on the map somewhere, and a pool has more than one value."""
    inputs = [graph.shape(value) for value in node.inputs]
    window = node.layer.window(*inputs)
    if "pool" in node.layer.kind and max(map(int, inputs[0][1:]), default=2) == 1:
        return False
    if window is None or window == EVERYTHING or window.upscale:
        return True
    assert isinstance(window, Window)
    outputs = graph.shape(node.outputs[0])[1:]
    for axis, (before, after) in enumerate(zip(inputs[0][1:], outputs, strict=True)):
        starts = [output * window.stride[axis] - window.pad[axis] for output in range(int(after))]
        for place in range(window.kernel[axis]):
            if not any(0 <= start + place * window.dilation[axis] < int(before) for start in starts):
                return False
    return True


class Measurements:
    """What was found of each model, kept in files."""

    def __init__(self, timeout: float, jobs: int) -> None:
        self.timeout = timeout
        self.threads = max(1, (os.cpu_count() or 1) // jobs)
        self.leaders = leaders()
        RESULTS.mkdir(parents=True, exist_ok=True)

    def found(self, one: Plan) -> dict[str, Any] | None:
        """The result of the plan, where it is there and of the same code."""
        with suppress(FileNotFoundError):
            result: dict[str, Any] = json.loads(self._path(one).read_text(encoding="utf-8"))
            if result["key"] == one.key:
                return result
        return None

    def measure(self, one: Plan) -> dict[str, Any]:
        """Run both frameworks, one after the other, and keep what they find; a failure is a finding."""
        import numpy

        claim = one.claim
        result: dict[str, Any] = {"key": one.key, "shape": one.shape, "failures": {}, "differences": {}}
        with tempfile.TemporaryDirectory(prefix=f"{claim.name}-", dir=RESULTS) as place:
            folder = Path(place)
            job = {
                "library": claim.library,
                "name": claim.name,
                "spec": claim.spec,
                "shape": one.shape,
                "parameters": claim.parameters,
                "gradients": claim.label in self.leaders,
                "file": FILES[claim.library],
            }
            (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
            home = HOME[claim.library]
            originals: dict[str, Any] = {}
            for side in sorted(FRAMEWORKS, key=lambda side: side != home):
                failure = self._run(side, folder)
                if failure:
                    result["failures"][side] = failure
                    if side == home:
                        break
                    continue
                result[side] = json.loads((folder / f"{side}.json").read_text(encoding="utf-8"))
                with numpy.load(folder / f"{side}.npz") as arrays:
                    outputs = {key: arrays[key] for key in arrays.files}
                if side == home:
                    originals = outputs
                    exact, rounded = (originals[f"original/{precision}"] for precision in GATES)
                    result["rounding"] = relative(rounded, exact)
                for precision in GATES:
                    result["differences"][f"{side}/{precision}"] = relative(
                        outputs[f"generated/{precision}"], originals[f"original/{precision}"]
                    )
        self._path(one).write_text(json.dumps(result, indent=1), encoding="utf-8")
        return result

    def _path(self, one: Plan) -> Path:
        return RESULTS / f"{one.claim.label}.json"

    def _run(self, side: str, folder: Path) -> str:
        """Why a process failed; empty where it did not."""
        names = "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"
        environment = {
            **os.environ,
            **dict.fromkeys(names, str(self.threads)),
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        script = Path(__file__).with_name("zoo_process.py")
        with (folder / f"{side}.log").open("w+b") as log:
            process = subprocess.Popen(
                [sys.executable, script, side, folder],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                return f"no result within {self.timeout:g} seconds"
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if code == 0:
                return ""
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        return f"exit status {code}: {lines[-1] if lines else 'nothing was said'}"


def failed(result: dict[str, Any] | None) -> bool:
    """Whether there is no result of both frameworks, so that it is worth another try."""
    return result is None or bool(result["failures"])


def relative(found: Any, expected: Any) -> float | None:
    """The largest difference relative to the largest magnitude; None where the outputs cannot be compared."""
    import numpy

    if found.shape != expected.shape or not numpy.isfinite(expected).all() or not numpy.isfinite(found).all():
        return None
    return float(abs(found - expected).max() / abs(expected).max())


def leaders() -> set[str]:
    """The cheapest model of each family, which stands for it where gradients are compared."""
    best: dict[tuple[str, str], Claim] = {}
    for claim in claims():
        network = zoo.find(claim.spec)
        if network is not None:
            family = claim.library, network.path.stem
            if family not in best or claim.macs < best[family].macs:
                best[family] = claim
    return {claim.label for claim in best.values()}


# The page.


def page(plans: Sequence[Plan], measurements: Measurements) -> str:
    rows = {one.claim.label: (one, measurements.found(one)) for one in plans}
    parts = []
    totals = []
    for library, title in LIBRARIES.items():
        of_library = [claim for claim in claims() if claim.library == library]
        table = [
            ["model", "parameters", "trainable", "MACs", "input", "weights",
             *(f"{name} {precision}" for name in FRAMEWORKS.values() for precision in GATES), "rounding", ""],
        ]  # fmt: skip
        table.append(["---", *["---:"] * 3, *["---"] * 2, *["---:"] * 5, "---"])
        equal = 0
        for claim in of_library:
            one, result = rows.get(claim.label, (None, None))
            cells, verdict = row(claim, one, result)
            equal += verdict == "equal"
            table.append([f"`{claim.name}`", *cells, verdict])
        totals.append(f"{equal} of {len(of_library)} of {title}")
        parts.append(f"## {title}\n\n{markdown(table)}")
    summary = f"**Equal: {', '.join(totals)}.** {environment()}\n"
    return "\n".join([summary, *parts, gradients(plans, measurements), compactness()])


def row(claim: Claim, one: Plan | None, result: dict[str, Any] | None) -> tuple[list[str], str]:
    """The cells of a model, and the verdict: ``equal`` where everything is."""
    if one is None:
        return [""] * 10, "no spec"
    expected = claim.params, claim.trainable, claim.macs
    counts = [
        f"{own:,}" if own == its else f"{own:,} (not {its:,})" for own, its in zip(one.counts, expected, strict=True)
    ]
    size = f"{'*' if one.reduced else ''}{one.shape[1]}{'*' if one.reduced else ''}"
    if result is None:
        return [*counts, size, *[""] * 6], "not measured"
    wrong = [
        name for name, own, its in zip(("params", "trainable", "MACs"), one.counts, expected, strict=True) if own != its
    ]
    cells = []
    for side in FRAMEWORKS:
        for precision, gate in GATES.items():
            difference = result["differences"].get(f"{side}/{precision}")
            cells.append(small(difference))
            if difference is None or difference > gate:
                wrong.append(f"{FRAMEWORKS[side]} {precision}")
    loaded = "no" if result["failures"] else "strict"
    wrong += [f"{FRAMEWORKS[side]}: {failure}" for side, failure in result["failures"].items()]
    verdict = "; ".join(wrong).replace("|", "\\|") or "equal"
    return [*counts, size, loaded, *cells, small(result.get("rounding"))], verdict


def small(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0e}" if value else "0"


def environment() -> str:
    versions = {name: version(name) for name in ("torchvision", "torch", "keras", "tensorflow")}
    return f"Measured with {', '.join(f'{name} {number}' for name, number in versions.items())}, on the CPU."


def gradients(plans: Sequence[Plan], measurements: Measurements) -> str:
    table = [["family", "model", "of", "by the image", "by the weights", "tensors"], ["---"] * 3 + ["---:"] * 3]
    equal = 0
    for one in plans:
        if one.claim.label not in measurements.leaders:
            continue
        home = HOME[one.claim.library]
        slopes = ((measurements.found(one) or {}).get(home) or {}).get("gradients")
        cells = ["-"] * 3
        if slopes:
            cells = [small(slopes["image"]), small(slopes["weights"]), str(slopes["count"])]
            equal += max(slopes["image"], slopes["weights"]) <= GATES["float64"]
        title = f"{LIBRARIES[one.claim.library]} {one.family}"
        table.append([title, f"`{one.claim.name}`", FRAMEWORKS[home], *cells])
    summary = f"Equal: {equal} of {len(measurements.leaders)} families."
    return f"## Gradients\n\n{summary}\n\n{markdown(table)}"


def markdown(table: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in table)


# Lines.

TORCHVISION_SOURCES = (
    "models/alexnet.py", "models/convnext.py", "models/densenet.py", "models/efficientnet.py", "models/googlenet.py",
    "models/inception.py", "models/mnasnet.py", "models/mobilenetv2.py", "models/mobilenetv3.py", "models/regnet.py",
    "models/resnet.py", "models/shufflenetv2.py", "models/squeezenet.py", "models/vgg.py",
    "ops/misc.py", "ops/stochastic_depth.py",
)  # fmt: skip
"""What defines the 68 networks: their own files, and the blocks that they import."""
KERAS_LEFT_OUT = ("__init__.py", "imagenet_utils.py")
METADATA = (
    "Weights",
    "BASE_DOCSTRING",
    "WEIGHTS_HASHES",
    "WEIGHTS_PATH",
    "BASE_WEIGHT",
    "_COMMON_META",
    "_COMMON_SWAG_META",
)


def compactness() -> str:
    """Lines of the specs and of the originals, whole and of code alone."""
    table = [["", "files", "lines", "code", "without published weights"], ["---", *["---:"] * 4]]
    specs, originals = [0] * 4, [0] * 4
    for library, title in LIBRARIES.items():
        ours = counted([count_spec(path) for path in sorted((zoo.folder() / library).glob("*.cnn"))])
        theirs = counted([count_python(path) for path in sources(library)])
        table.append([f"`specs/{library}`", *(f"{n:,}" for n in ours)])
        table.append([title, *(f"{n:,}" for n in theirs)])
        specs = [a + b for a, b in zip(specs, ours, strict=True)]
        originals = [a + b for a, b in zip(originals, theirs, strict=True)]
    shares = [f"{own / its:.1%}" for own, its in zip(specs[1:], originals[1:], strict=True)]
    table.append(["**share**", "", *shares])
    return f"## Lines\n\n{markdown(table)}"


def sources(library: str) -> list[Path]:
    """The files of a library that define its networks; found without importing it."""
    package = find_spec("torchvision" if library == "torchvision" else "keras")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent
    if library == "torchvision":
        return [folder / name for name in TORCHVISION_SOURCES]
    return [
        path
        for path in sorted((folder / "src" / "applications").glob("*.py"))
        if not path.name.endswith("_test.py") and path.name not in KERAS_LEFT_OUT
    ]


def counted(files: Sequence[tuple[int, int, int]]) -> list[int]:
    return [len(files), *(sum(column) for column in zip(*files, strict=True))] if files else [0, 0, 0, 0]


def count_spec(path: Path) -> tuple[int, int, int]:
    """Lines, and lines that are not blank or a comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    code = sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)
    return len(lines), code, code


def count_python(path: Path) -> tuple[int, int, int]:
    """Lines; lines with code, that is without comments, docstrings and blank lines; and of those what is no metadata.

    Metadata are the descriptions of published weights: their enums, hashes, addresses, and texts for docstrings.
    """
    text = path.read_text(encoding="utf-8")
    code: set[int] = set()
    layout = tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout:
            code.update(range(token.start[0], token.end[0] + 1))
    metadata: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if describes_weights(node):
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
            metadata.update(range(first, (node.end_lineno or node.lineno) + 1))
    return len(text.splitlines()), len(code), len(code - metadata)


def describes_weights(node: ast.AST) -> bool:
    """Whether a statement describes published weights, or prepares images for them, and defines no network."""
    if isinstance(node, ast.ClassDef):
        return any("WeightsEnum" in ast.unparse(base) for base in node.bases)
    if isinstance(node, ast.FunctionDef):
        return node.name in ("preprocess_input", "decode_predictions")
    if isinstance(node, ast.Assign):
        names = [ast.unparse(target) for target in node.targets]
        return any(name.startswith(METADATA) or name.endswith(".__doc__") for name in names)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, and no page: `keras/resnet50`, or `keras` for all of it")
    parser.add_argument("--jobs", type=int, default=1, help="how many networks at once")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one network in one framework")
    parser.add_argument("--page", action="store_true", help="measure nothing, and write the page from what is there")
    options = parser.parse_args()
    began = time.monotonic()
    measurements = Measurements(options.timeout, options.jobs)
    plans = []
    for claim in claims():
        if options.names and not {claim.spec, claim.library} & set(options.names):
            continue
        try:
            plans.append(plan(claim))
        except (LookupError, SpecError) as error:
            print(f"{claim.spec}: {str(error).splitlines()[0]}", flush=True)
    missing = [] if options.page else [one for one in plans if failed(measurements.found(one))]

    def measure(number: int) -> None:
        one = missing[number]
        started = time.monotonic()
        result = measurements.measure(one)
        _, verdict = row(one.claim, one, result)
        seconds = time.monotonic() - started
        memory = max((result[side]["gigabytes"] for side in FRAMEWORKS if side in result), default=0.0)
        print(
            f"{number + 1}/{len(missing)} {one.claim.spec} at {one.shape[1]}: {verdict}, "
            f"{seconds:.0f} s, {memory:.1f} GB, after {time.monotonic() - began:.0f} s",
            flush=True,
        )

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(measure, range(len(missing))))
    if not options.names:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        text = page(plans, measurements)
        DOCS.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        print(text.partition("\n")[0])


if __name__ == "__main__":
    main()
