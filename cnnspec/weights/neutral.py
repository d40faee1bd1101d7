"""The neutral kind of file: ``.safetensors`` by state key, in the spec's layout.

Its metadata are ``{"format": "cnnspec", "spec": "ResNet18"}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.graph import Graph
from cnnspec.weights.formats import COUNTERS, Stored, WeightError, WeightFiles, from_bfloat16, need

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

EXTRA = "weights"


class NeutralFiles(WeightFiles):
    """Files that belong to no framework, and that PyTorch modules load as they are."""

    suffixes = (".safetensors",)

    @override
    @contextmanager
    def open(self, path: Path, graph: Graph) -> Iterator[Mapping[str, Stored]]:
        with open_safetensors(path) as stored:
            yield stored

    @override
    def write(self, path: Path, graph: Graph, probes: Sequence[Graph], weights: Mapping[str, Array]) -> None:
        save_safetensors(path, weights, {"format": "cnnspec", "spec": graph.name})


@contextmanager
def open_safetensors(path: Path) -> Iterator[dict[str, Stored]]:
    """The arrays of a ``.safetensors`` file by name, without PyTorch's batch counters; raises `WeightError`."""
    library = need("safetensors", EXTRA)
    path.open("rb").close()  # an OSError that says what is wrong, where there is something
    try:
        with library.safe_open(path, framework="numpy") as file:
            yield {
                key: _stored(library, path, file, key)
                for key in file.keys()  # noqa: SIM118 - no mapping
                if not key.endswith(COUNTERS)
            }
    except library.SafetensorError as error:
        raise WeightError(f"`{path.name}` is no safetensors file: {error}") from None


def save_safetensors(path: Path, arrays: Mapping[str, NDArray[Any]], metadata: dict[str, str]) -> None:
    """Write arrays by name; equal ones make equal files."""
    import numpy

    need("safetensors.numpy", EXTRA).save_file(
        {key: numpy.ascontiguousarray(array) for key, array in arrays.items()}, path, metadata
    )
    _order_metadata(path, metadata)


def _order_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Put the metadata in the order they were given in: the library takes another one every time."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = metadata
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        if len(text) == length:  # as it is, unless the library writes JSON otherwise one day
            file.seek(8)
            file.write(text)


def _stored(library: Any, path: Path, file: Any, key: str) -> Stored:
    view = file.get_slice(key)
    shape = tuple(view.get_shape())
    kind = view.get_dtype()

    def read() -> Array:
        if kind != "BF16":
            array: Array = file.get_tensor(key)
            return array
        import numpy

        # NumPy has no such numbers.
        raw = dict(library.deserialize(path.read_bytes()))[key]
        return from_bfloat16(numpy.frombuffer(raw["data"], dtype="<u2")).reshape(shape)

    return Stored(shape, read)
