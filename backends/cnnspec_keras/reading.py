"""The variables in Keras's HDF5 files, and which of a graph's weights each of them is.

There are two kinds of such files.  Keras 3 writes groups ``layers/conv2d_1/vars/0`` with the name of each layer beside
them.  Before, and in ``.h5`` files to this day, each layer has a group of its own name with a list of its variables,
at the root or in a group ``model_weights``.  No link in a file is followed, and no configuration read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnspec.graph import Graph, Node
from cnnspec.layers.activation import Prelu
from cnnspec.layers.base import Layer
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec.layers.dense import Dense
from cnnspec.layers.normalisation import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, Normalize
from cnnspec.weights.formats import Stored, WeightError, from_bfloat16
from cnnspec_keras.layers import layer_name
from cnnspec_keras.weights import in_spec_order

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

Variables = dict[str, Any]
"""The arrays of a layer in an open file, by number, or by a name where the layer chose one."""

OLD = "model_weights"
"""The group that holds the weights where an ``.h5`` file has a whole model."""

KINDS: dict[type[Layer], str] = {
    Conv: "conv{rank}d",
    DepthwiseConv: "depthwise_conv{rank}d",
    SeparableConv: "separable_conv{rank}d",
    ConvTranspose: "conv{rank}d_transpose",
    Dense: "dense",
    BatchNorm: "batch_normalization",
    LayerNorm: "layer_normalization",
    GroupNorm: "group_normalization",
    InstanceNorm: "group_normalization",
    Normalize: "normalization",
    Prelu: "p_re_lu",
}
"""How Keras names the layers of a class that nobody named, before their number."""
AUTOMATIC = re.compile(
    rf"({'|'.join(sorted(set(KINDS.values()), reverse=True))})(?:_([0-9]+))?".replace("{rank}", "[123]")
)


def stored(h5py: Any, path: Path, content: Any, graph: Graph) -> dict[str, Stored]:
    """The arrays of an open file, by state key where the graph has the layer; raises `WeightError`."""
    old = next((group for group in (content, _group(h5py, content, OLD)) if _texts(group, "layer_names")), None)
    layers = _layers(h5py, path, content) if old is None else _old_layers(h5py, path, old)
    nodes = match(graph, layers)
    found: dict[str, Stored] = {}
    for name, variables in layers.items():
        node = nodes.get(name)
        known = len(node.weights) if node is not None else 0
        for number, dataset in variables.items():
            if node is not None and number.isdecimal() and int(number) < known:
                weight = node.weights[int(number)]
                numbered = name != layer_name(node.path)
                found[node.key(weight)] = _of_layer(node, weight.name, dataset, f"{name}/{number}" if numbered else "")
            elif not (node is not None and isinstance(node.layer, Normalize) and dataset.shape == ()):
                # That would have been the number of values that a normalisation has seen.
                found[f"{name}/{number}"] = Stored(tuple(dataset.shape), partial(_values, dataset))
    return found


def match(graph: Graph, names: Iterable[str]) -> dict[str, Node]:
    """The node of each layer in a file: by name or its words, and where nobody named it, by its kind and number.

    Keras numbers the layers of a class in the order in which they are made, not always from the beginning.  Those of a
    file are the ones of that kind that are left in the graph, in its order, if they are as many.
    """
    nodes = {layer_name(node.path): node for node in graph.layers if node.weights}
    found: dict[str, Node] = {}
    numbered: dict[str, list[str]] = {}
    others: list[str] = []
    for name in names:
        automatic = AUTOMATIC.fullmatch(name)
        if automatic:
            numbered.setdefault(automatic[1], []).append(name)
        elif name in nodes:
            found[name] = nodes[name]
        else:
            others.append(name)
    found |= _by_words([node for name, node in nodes.items() if name not in found], others)
    for kind, those in numbered.items():
        taken = {node.path for node in found.values()}
        left = [name for name, node in nodes.items() if node.path not in taken and _kind(graph, node) == kind]
        if nodes.keys() >= set(those):
            found |= {name: nodes[name] for name in those}
        elif len(those) == len(left):
            if all(map(AUTOMATIC.fullmatch, left)):
                left.sort(key=_number)
            found |= {name: nodes[other] for name, other in zip(sorted(those, key=_number), left, strict=True)}
    return found


def _by_words(nodes: Iterable[Node], names: Iterable[str]) -> dict[str, Node]:
    """The nodes whose paths have the words of a name in another order, as where a name ends with the outermost block.

    Where several have them, it is the one of which the name has the most labels whole.
    """
    paths: dict[tuple[str, ...], list[Node]] = {}
    for node in nodes:
        paths.setdefault(_words(node.path), []).append(node)
    found: dict[str, Node] = {}
    for name in names:
        candidates = paths.get(_words(name), [])
        whole = [sum(f"_{label}_" in f"_{name}_" for label in node.path.split(".")) for node in candidates]
        if whole and whole.count(max(whole)) == 1:
            found[name] = candidates[whole.index(max(whole))]
    return found if len({node.path for node in found.values()}) == len(found) else {}


def _words(name: str) -> tuple[str, ...]:
    return tuple(sorted(name.replace(".", "_").split("_")))


def _kind(graph: Graph, node: Node) -> str | None:
    """How Keras names layers such as this one."""
    channels, *sizes = graph.shape(node.inputs[0]) if node.inputs else (0,)
    layer = node.layer
    alone = isinstance(layer, Conv) and layer.groups == channels and layer.groups > 1
    kind = KINDS.get(DepthwiseConv if alone else type(layer))
    return kind.format(rank=len(sizes)) if kind else None


def _number(name: str) -> int:
    automatic = AUTOMATIC.fullmatch(name)
    return int(automatic[2] or 0) if automatic else 0


def _layers(h5py: Any, path: Path, content: Any) -> dict[str, Variables]:
    """The layers of a file of Keras 3, by name; one that is not the only one of its name, by its place."""
    top = _group(h5py, content, "layers")
    if top is None:
        raise WeightError(f"`{path.name}` has no weights where Keras puts them: neither `layers` nor `{OLD}`")
    places: dict[str, dict[str, Variables]] = {}
    for dataset in _datasets(h5py, path, top).values():
        *above, variables, number = dataset.name.strip("/").split("/")
        if "seed_generator" in above:
            continue
        name = dataset.parent.attrs.get("name")
        if not isinstance(name, str) or variables != "vars":
            raise WeightError(
                f"`{path.name}` does not tell which layer `{dataset.name}` is of: save it with Keras 3.13 or newer"
            )
        places.setdefault(name, {}).setdefault("/".join(above), {})[number] = dataset
    return {
        name if len(groups) == 1 else place: variables
        for name, groups in places.items()
        for place, variables in groups.items()
    }


def _old_layers(h5py: Any, path: Path, root: Any) -> dict[str, Variables]:
    """The layers of a file as Keras wrote them before, by name."""
    layers: dict[str, Variables] = {}
    for group_name in _texts(root, "layer_names"):
        group = _group(h5py, root, group_name)
        names = _texts(group, "weight_names")
        if not names:
            continue
        datasets = _datasets(h5py, path, group)
        missing = [name for name in names if name not in datasets]
        if missing:
            raise WeightError(f"`{path.name}` has no `{missing[0]}` in `{group_name}`, and says that it has")
        # A model within the model has several layers: `conv1/kernel:0`, `conv2/kernel:0`.
        owners = [name.split("/")[-2] if "/" in name else group_name for name in names]
        for owner, name in zip(owners, names, strict=True):
            variables = layers.setdefault(owner if len(set(owners)) > 1 else group_name, {})
            variables[str(len(variables))] = datasets[name]
    return layers


def _group(h5py: Any, above: Any, name: str) -> Any:
    """A group of a file; None where there is none, or only a link."""
    linked = above.get(name, getlink=True)
    found = above[name] if isinstance(linked, h5py.HardLink) else None
    return found if isinstance(found, h5py.Group) else None


def _texts(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras cuts in numbered parts where it is long; empty where there is none."""
    import numpy

    if group is None:
        return []
    numbered = takewhile(group.attrs.__contains__, (f"{attribute}{number}" for number in count()))
    parts = [attribute] if attribute in group.attrs else list(numbered)
    names = [name for part in parts for name in numpy.ravel(group.attrs[part])]
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]


def _datasets(h5py: Any, path: Path, group: Any) -> dict[str, Any]:
    """Every array in a group by its place there, none of them from elsewhere."""
    found: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    group.visititems(collect)  # follows no link, neither within the file nor out of it
    for dataset in found.values():
        if dataset.external or dataset.is_virtual:
            raise WeightError(f"`{path.name}` takes `{dataset.name}` from other files")
    return found


def _of_layer(node: Node, weight: str, dataset: Any, name: str) -> Stored:
    import numpy

    # An array of no size in memory that is moved about as the real one would be.
    shape = in_spec_order(node, weight, numpy.broadcast_to(numpy.float32(0), dataset.shape)).shape
    return Stored(shape, lambda: in_spec_order(node, weight, _values(dataset)), name)


def _values(dataset: Any) -> Array:
    array: Array = dataset[()]
    if dataset.attrs.get("dtype") == "bfloat16":
        return from_bfloat16(array.view("<u2"))
    return array
