"""What a kind of weight files is: how one framework keeps weights, in terms of the spec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnspec.graph import Graph

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

COUNTERS = ".num_batches_tracked"
"""How the keys of PyTorch's batch counters end, which no computation with a fixed momentum depends on."""


class WeightError(Exception):
    """A file of weights that cannot be used; the message may have several lines."""


class UnknownFormat(LookupError):
    """Neither a name nor a suffix says what kind of file it is."""


class MissingPackage(ImportError):
    """A kind of file needs a package that is not installed."""


class Stored(NamedTuple):
    """An array in an open file: its shape in the spec's layout as far as that is known, and how to read it.

    ``name`` is what the file calls it, where it was not found by its name.
    """

    shape: tuple[int, ...]
    read: Callable[[], Array]
    name: str = ""


class WeightFiles(ABC):
    """How a framework keeps weights in files."""

    suffixes: tuple[str, ...]
    """How the names of such files end, the usual one first."""
    read_only: tuple[str, ...] = ()
    """How those end that can be read, and are not written."""

    @abstractmethod
    def open(self, path: Path, graph: Graph) -> AbstractContextManager[Mapping[str, Stored]]:
        """What a file holds: by state key as far as the graph knows it, else by the file's own name for it.

        The arrays can be read while the context lasts.  Raises `WeightError` for a file of another kind, and OSError.
        """

    @abstractmethod
    def write(self, path: Path, graph: Graph, probes: Sequence[Graph], weights: Mapping[str, Array]) -> None:
        """Write weights that fit the graph, all of one precision, to a path that does not exist.

        ``probes`` are those that the code was compiled with (see `Backend.emit`).
        """


def need(module: str, extra: str) -> Any:
    """An optional package; raises `MissingPackage` with what to install."""
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingPackage(f"{package} is not installed: pip install 'cnnspec[{extra}]'") from None


def from_bfloat16(bits: NDArray[numpy.uint16]) -> Array:
    """The numbers whose upper halves are these: float32 with the lower ones zero."""
    import numpy

    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)
