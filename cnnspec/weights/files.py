"""Reading and writing files of weights, whichever framework they are for.

In memory, weights are arrays in the spec's layout by state key.  Reading runs no code that a file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cnnspec.backend import backends
from cnnspec.diagnostics import nearest
from cnnspec.graph import Graph
from cnnspec.weights.formats import Stored, UnknownFormat, WeightError, WeightFiles
from cnnspec.weights.matching import Difference, Mismatch, compare, settings_that_fit
from cnnspec.weights.neutral import NeutralFiles

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

NEUTRAL = "neutral"


def formats() -> dict[str, WeightFiles]:
    """Every kind of file by name: the neutral one, then those of the installed backends."""
    found: dict[str, WeightFiles] = {NEUTRAL: NeutralFiles()}
    for name, backend in backends().items():
        files = backend.weight_files()
        if files is not None:
            found[name] = files
    return found


def find_format(path: Path, name: str | None) -> WeightFiles:
    """The kind of a file by its given name, else by its suffix; raises `UnknownFormat`."""
    known = formats()
    if name is not None:
        if name in known:
            return known[name]
        near = nearest(name, known)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
        raise UnknownFormat(f"there is no format `{name}`; {hint}")
    for files in known.values():
        if _suffix(path, (*files.suffixes, *files.read_only)) is not None:
            return files
    suffixes = dict.fromkeys(suffix for files in known.values() for suffix in (*files.suffixes, *files.read_only))
    raise UnknownFormat(f"what kind of file is `{path.name}`? names of weight files end in {', '.join(suffixes)}")


def read(
    path: Path,
    graph: Graph,
    *,
    format: str | None = None,
    variant: Callable[[Mapping[str, Any]], Graph | None] | None = None,
) -> dict[str, Array]:
    """The weights in a file, in the spec's layout by state key, in float32, or float64 where it has any.

    ``format`` is a name of `formats`; by default the suffix tells.  ``variant`` gives the graph with other values of
    its parameters, to find out whether the file is of such a one.  Raises `Mismatch` where the file does not fit the
    graph, `WeightError`, `UnknownFormat`, `MissingPackage` and OSError.
    """
    files = find_format(path, format)
    with files.open(path, graph) as stored:
        difference = compare(graph, stored)
        if difference.empty:
            arrays = {key: _as_float(stored[key].read(), key) for key in graph.state}
            precision = "float64" if any(array.dtype == "float64" for array in arrays.values()) else "float32"
            return {key: array.astype(precision, copy=False) for key, array in arrays.items()}

    def difference_of(other: Graph) -> Difference:
        with files.open(path, other) as stored:
            return compare(other, stored)

    settings = settings_that_fit(graph, difference, difference_of, variant) if variant is not None else {}
    raise Mismatch(path.name, graph, difference, settings)


def write(
    path: Path,
    graph: Graph,
    weights: Mapping[str, Array],
    *,
    probes: Sequence[Graph] = (),
    format: str | None = None,
) -> None:
    """Write weights in the spec's layout to a file, whole or not at all.

    ``probes`` are those of `load_for_compiling`, where the file is for code that was compiled with them.  Raises
    `Mismatch` where the weights do not fit the graph, `WeightError`, `UnknownFormat`, `MissingPackage` and OSError.
    """
    files = find_format(path, format)
    suffix = _suffix(path, files.suffixes)
    if suffix is None:
        raise UnknownFormat(f"the name of such a file ends in {' or '.join(files.suffixes)}, not as `{path.name}`")
    difference = compare(graph, {key: Stored(array.shape, array.copy) for key, array in weights.items()})
    if not difference.empty:
        raise Mismatch("what is to be written", graph, difference, {})
    target = path.resolve()
    with TemporaryDirectory(prefix=f".{target.name[:100]}.", dir=target.parent) as folder:
        fresh = Path(folder) / f"fresh{suffix}"
        files.write(fresh, graph, probes, {key: weights[key] for key in graph.state})
        # As any new file has it here: some writers make files that only their owner may read.
        usual = Path(folder) / "usual"
        usual.touch()
        fresh.chmod((target if target.exists() else usual).stat().st_mode)
        fresh.replace(target)


def _suffix(path: Path, suffixes: Sequence[str]) -> str | None:
    """Which of the suffixes a name ends in."""
    name = path.name.lower()
    return next((suffix for suffix in suffixes if name.endswith(suffix)), None)


def _as_float(array: Array, key: str) -> Array:
    """An array of half precision in float32, which has all its numbers; others as they are."""
    import numpy

    if array.dtype == numpy.float16:
        return array.astype(numpy.float32)
    if array.dtype.newbyteorder("=") not in (numpy.float32, numpy.float64):
        raise WeightError(f"`{key}` holds {array.dtype}, and weights are floating-point numbers")
    return numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
