"""A network at other sizes of its inputs."""

from __future__ import annotations

import pytest

import cnnspec
from cnnspec.sizes import TiedToSize, other_sizes, resized


def shapes(text: str) -> list[tuple[object, ...]]:
    return [one.shape(one.inputs[0].value) for one in other_sizes(cnnspec.loads(text)).graphs]


def test_an_odd_and_an_even_size_near_the_own() -> None:
    assert shapes("model M { input x: 3x224x160\n conv(4, 3x3) -> global_avg_pool -> flatten -> dense(2) }") == [
        (3, 197, 141),
        (3, 196, 140),
    ]


def test_sizes_that_a_network_takes_are_searched() -> None:
    assert shapes("model M { input x: 3x64x64\n y = x -> max_pool(16x16) -> upsample(scale = 16)\n y + x }") == [
        (3, 48, 48),
        (3, 80, 80),
    ]


def test_a_dense_layer_behind_a_flatten_ties_a_network_to_its_size() -> None:
    graph = cnnspec.loads("model M { input x: 3x8x8\n conv(4, 3x3) -> flatten -> fc: dense(2) }")
    found = other_sizes(graph)
    assert not found.graphs
    assert "`fc.weight` would be" in found.why
    with pytest.raises(TiedToSize, match=r"`fc\.weight` would be 2x100 instead of 2x144"):
        resized(graph, {"x": (3, 7, 7)})


def test_a_vector_has_no_size() -> None:
    assert "no sizes but" in other_sizes(cnnspec.loads("model M { input x: 8\n dense(2) }")).why


def test_a_network_at_another_size_is_the_spec_there() -> None:
    graph = cnnspec.load("googlenet")
    there = resized(graph, {"image": (3, 193, 193)})
    expanded = cnnspec.load("googlenet", inputs={"image": (3, 193, 193)})
    assert there.values == expanded.values
    assert there.layers == expanded.layers
    assert there.macs == expanded.macs
