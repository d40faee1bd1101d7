"""The shipped specs: they check without a warning, and count and name their weights as their libraries do."""

from __future__ import annotations

import ast
import csv
import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest

from cnnspec import api, loading, zoo
from cnnspec.diagnostics import render
from cnnspec.expand import stands_alone
from cnnspec.graph import Graph, Node
from cnnspec.syntax import tree
from cnnspec_keras.reading import match
from cnnspec_keras.weights import in_spec_order

DATA = Path(__file__).parents[1] / "data"


class Reference(NamedTuple):
    """What torchvision says of a network: counts, and the shape of each tensor of its state."""

    params: int
    macs: int
    state: dict[str, tuple[int, ...]]


def read_references() -> dict[str, Reference]:
    """The networks in tests/data that have a state, by name, with `-noaux` for those without auxiliary heads."""
    with (DATA / "torchvision.csv").open(encoding="utf-8", newline="") as file:
        counts = {(row["name"], row["variant"]): row for row in csv.DictReader(file)}
    found = {}
    with gzip.open(DATA / "torchvision_state.jsonl.gz", "rt", encoding="utf-8") as file:
        for record in map(json.loads, file):
            tensors = (line.split("\t") for line in record["state"])
            # PyTorch's batch norms also count batches, which no result depends on.
            state = {
                key: ast.literal_eval(shape) for key, shape, _ in tensors if not key.endswith("num_batches_tracked")
            }
            row = counts[record["name"], record["variant"]]
            name = record["name"] if record["variant"] == "default" else f"{record['name']}-{record['variant']}"
            found[name] = Reference(int(row["params"]), int(row["macs"]), state)
    return found


REFERENCES = read_references()
SPECS: dict[str, dict[str, Any]] = {
    "googlenet": {"auxiliary_heads": True},
    "googlenet-noaux": {"auxiliary_heads": False},
    "inception_v3": {"auxiliary_heads": True},
    "inception_v3-noaux": {"auxiliary_heads": False},
}
"""Parameters of the specs where torchvision's builder has both variants."""


def load(name: str) -> Graph:
    return api.load(name.removesuffix("-noaux"), **SPECS.get(name, {}))


@pytest.mark.parametrize("name", REFERENCES)
def test_counts_and_state_are_torchvisions(name: str) -> None:
    graph = load(name)
    reference = REFERENCES[name]
    assert graph.params == reference.params
    assert graph.macs == reference.macs
    assert {key: weight.shape for key, weight in graph.state.items()} == reference.state


def test_every_cnn_of_torchvision_is_compared() -> None:
    with (DATA / "torchvision.csv").open(encoding="utf-8", newline="") as file:
        cnns = [row for row in csv.DictReader(file) if row["is_cnn"] == "True"]
    assert len({row["name"] for row in cnns}) == 68
    assert len(cnns) == len(REFERENCES)
    assert {row["name"] for row in cnns} == {name.removesuffix("-noaux") for name in REFERENCES}


class KerasLayer(NamedTuple):
    """A layer of keras.applications that has weights; its shapes leave out Normalization's counter, a single number."""

    name: str
    kind: str
    shapes: list[tuple[int, ...]]


class KerasReference(NamedTuple):
    """What Keras says of a network.  ``total`` counts running statistics too."""

    total: int
    trainable: int
    macs: int
    layers: list[KerasLayer]


def read_keras_references() -> dict[str, KerasReference]:
    with (DATA / "keras_applications.csv").open(encoding="utf-8", newline="") as file:
        counts = {row["name"]: row for row in csv.DictReader(file)}
    found = {}
    with gzip.open(DATA / "keras_state.jsonl.gz", "rt", encoding="utf-8") as file:
        for record in map(json.loads, file):
            row = counts[record["name"]]
            layers = [
                KerasLayer(name, kind, [tuple(shape) for shape in shapes if shape])
                for name, kind, shapes in record["layers"]
            ]
            found[record["name"]] = KerasReference(
                int(row["total_params"]), int(row["trainable"]), int(row["macs"]), layers
            )
    return found


KERAS_REFERENCES = read_keras_references()


@pytest.mark.parametrize("name", KERAS_REFERENCES)
def test_counts_are_those_of_keras_applications(name: str) -> None:
    graph = api.load(f"keras/{name}")
    reference = KERAS_REFERENCES[name]
    # Keras's Normalization also counts what its statistics were taken from, which no result depends on.
    counters = sum(layer.kind == "Normalization" for layer in reference.layers)
    assert graph.params == reference.trainable
    assert graph.params + graph.buffer_elements + counters == reference.total
    assert graph.macs == reference.macs


@pytest.mark.parametrize("name", KERAS_REFERENCES)
def test_names_and_shapes_are_those_of_keras_applications(name: str) -> None:
    """Every layer of Keras's is found by its name, or takes the place of one without a name; none is left."""
    graph = api.load(f"keras/{name}")
    layers = KERAS_REFERENCES[name].layers
    nodes = match(graph, [layer.name for layer in layers if layer.shapes])
    for layer in layers:
        if layer.shapes:
            require_same(layer, nodes.pop(layer.name))
    assert not nodes
    assert sum(bool(node.weights) for node in graph.layers) == sum(bool(layer.shapes) for layer in layers)


def require_same(layer: KerasLayer, node: Node) -> None:
    """The variables of a layer of Keras are the weights of this one, with their axes in Keras's order."""
    for weight, shape in zip(node.weights, layer.shapes, strict=True):
        found = in_spec_order(node, weight.name, numpy.broadcast_to(0.0, shape)).shape
        assert found == weight.shape, (layer, node.path, weight.name)


def test_every_network_of_keras_applications_is_compared() -> None:
    names = {network.name.casefold() for network in zoo.by_name().values() if network.library == "keras"}
    assert len(KERAS_REFERENCES) == 40
    assert {name.casefold() for name in KERAS_REFERENCES} == names


@pytest.mark.parametrize("name", zoo.models())
def test_check_finds_nothing(name: str) -> None:
    checked = api.check(loading.parse_all(loading.find(name)))
    assert not checked.diagnostics, render(checked.diagnostics, checked.sources)
    assert checked.graph is not None


@pytest.mark.parametrize(
    "path", sorted(zoo.folder().rglob("*.cnn")), ids=lambda path: path.relative_to(zoo.folder()).as_posix()
)
def test_every_model_makes_claims(path: Path) -> None:
    for definition in loading.parse_all(loading.find(str(path))).files[0].definitions:
        claims = [statement for statement in definition.body if isinstance(statement, tree.Expect)]
        alone = definition.keyword == "model" and stands_alone(definition)
        assert bool(claims) or not alone, definition.name.text


def test_a_wrong_claim_is_noticed() -> None:
    spec = loading.find("conv520")
    wrong = spec._replace(text=spec.text.replace("params == 520", "params == 521"))
    assert wrong != spec
    (finding,) = api.check(loading.parse_all(wrong)).diagnostics
    assert finding.code == "expectation-failed"
