"""PyTorch's files of weights: ``.pt`` and ``.pth`` as `torch.save` writes them, and ``.safetensors``.

The keys and layouts are the spec's.  Batch norms count batches besides (``num_batches_tracked``): the counters are
written as 0 and not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.graph import Graph
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.weights.formats import COUNTERS, Stored, WeightError, WeightFiles, need
from cnnspec.weights.neutral import open_safetensors, save_safetensors

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

WRAPPERS = ("state_dict", "model")
"""Under what name a training script keeps the weights among other things."""
SAFE_SINCE = (2, 6)
"""The first PyTorch whose ``weights_only=True`` cannot be made to run code (CVE-2025-32434)."""


class TorchFiles(WeightFiles):
    """A state dict, alone or within a checkpoint."""

    suffixes = (".pt", ".pth", ".safetensors")

    @override
    @contextmanager
    def open(self, path: Path, graph: Graph) -> Iterator[Mapping[str, Stored]]:
        if path.suffix == ".safetensors":
            with open_safetensors(path) as stored:
                yield stored
        else:
            state = {str(key): value for key, value in _state(path).items() if not str(key).endswith(COUNTERS)}
            names = _present_names(graph, state)
            yield {names.get(key, key): _stored(key, value) for key, value in state.items()}

    @override
    def write(self, path: Path, graph: Graph, probes: Sequence[Graph], weights: Mapping[str, Array]) -> None:
        arrays = _with_counters(graph, weights)
        if path.suffix == ".safetensors":
            save_safetensors(path, arrays, {"format": "pt"})
        else:
            torch = need("torch", "torch")
            torch.save({key: torch.from_numpy(array.copy()) for key, array in arrays.items()}, path)


def _state(path: Path) -> Mapping[Any, Any]:
    """The state dict in a file, read without running what it holds; raises `WeightError`."""
    from pickle import UnpicklingError
    from warnings import catch_warnings, simplefilter

    torch = need("torch", "torch")
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE_SINCE:
        raise WeightError(
            f"reading `{path.name}` needs PyTorch {'.'.join(map(str, SAFE_SINCE))} or newer: before, "
            "`weights_only=True` does not keep a file from running code; or use a .safetensors file"
        )
    try:
        with catch_warnings():
            simplefilter("ignore")  # about kinds of pickles that are refused or read right
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except UnpicklingError:
        raise WeightError(
            f"`{path.name}` holds more than tensors: it is read with `torch.load(weights_only=True)`, which refuses "
            "it, since unpickling it would run code; save `model.state_dict()`, or a .safetensors file"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        # `torch.load` raises all of these for files of another kind and for broken ones.
        reason = str(error).split("\n")[0]
        raise WeightError(f"`torch.load(weights_only=True)` cannot read `{path.name}`: {reason}") from None
    for name in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping):
        raise WeightError(f"`{path.name}` holds a {type(found).__name__}, and not a state dict")
    return found


def _present_names(graph: Graph, keys: Iterable[str]) -> dict[str, str]:
    """The graph's names of keys that have their dots elsewhere, each where only one can be meant.

    Files from before PyTorch 0.4.1, such as those that torchvision publishes for its DenseNets, have ``norm.1.weight``
    for what is ``norm1.weight`` since.
    """

    def by_letters(names: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(name.replace(".", ""), []).append(name)
        return found

    given = by_letters(keys)
    return {
        given[letters][0]: names[0]
        for letters, names in by_letters(graph.state).items()
        if len(names) == len(given.get(letters, ())) == 1
    }


def _stored(key: str, value: Any) -> Stored:
    import torch

    if not isinstance(value, torch.Tensor):
        return Stored((), lambda: _refuse(key, value))

    def read() -> Array:
        tensor = value.detach()
        if tensor.layout != torch.strided or tensor.is_quantized:
            _refuse(key, value)
        array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return array

    return Stored(tuple(value.shape), read)


def _refuse(key: str, value: Any) -> Array:
    raise WeightError(f"`{key}` is no plain tensor but {type(value).__name__}")


def _with_counters(graph: Graph, weights: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """The whole state dict, in PyTorch's order."""
    import numpy

    arrays: dict[str, NDArray[Any]] = {}
    for node in graph.layers:
        for weight in node.weights:
            arrays[node.key(weight)] = weights[node.key(weight)]
        if isinstance(node.layer, BatchNorm):
            arrays[node.path + COUNTERS] = numpy.zeros((), dtype=numpy.int64)
    return arrays
