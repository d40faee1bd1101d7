"""The graph as data: JSON out and in, and its schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from cnnspec import api, zoo
from cnnspec.expand.application import DEEPEST_NESTING
from cnnspec.graph import Graph, json_schema
from cnnspec.layers import LAYERS

NAMES = list(zoo.models())


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_goes_through_json_unchanged(name: str) -> None:
    graph = api.load(name)
    text = graph.model_dump_json()
    again = Graph.model_validate_json(text)
    assert again == graph
    assert again.model_dump_json() == text


@pytest.mark.parametrize("name", ["lenet5", "unet", "resnet18", "googlenet", "convnext_tiny", "fcn"])
def test_the_json_is_what_the_schema_says(name: str, validator: Any) -> None:
    names = [known for known in NAMES if zoo.fold(known).startswith(zoo.fold(name))]
    data = json.loads(api.load(names[0]).model_dump_json())
    assert [error.message for error in validator.iter_errors(data)] == []


def test_the_schema_refuses_what_is_no_graph(validator: Any) -> None:
    data = json.loads(api.load("lenet5").model_dump_json())
    data["root"]["body"][0]["layer"]["filters"] = "many"
    assert not validator.is_valid(data)
    assert not validator.is_valid({})


def test_the_schema_has_every_layer() -> None:
    definitions = json_schema()["$defs"]
    assert [one["$ref"] for one in definitions["Layer"]["oneOf"]] == [f"#/$defs/layer_{kind}" for kind in LAYERS]
    for kind in LAYERS:
        assert definitions[f"layer_{kind}"]["properties"]["kind"] == {"const": kind}


@pytest.mark.parametrize("kind", ["if", "for", "block", "group"])
def test_the_deepest_structures_go_through_json(kind: str) -> None:
    deep = DEEPEST_NESTING
    blocks = ""
    match kind:
        case "if":
            body = "if true {\n" * deep + "relu" + "\n}" * deep
        case "for":
            body = "for _ in [1] {\n" * deep + "relu" + "\n}" * deep
        case "group":
            body = "{ " * deep + "relu" + " }" * deep
        case _:
            blocks = "".join(f"block B{i} {{\n    B{i + 1}\n}}\n" for i in range(1, deep))
            blocks += f"block B{deep} {{\n    relu\n}}\n"
            body = "B1"
    graph = api.loads(f"{blocks}\nmodel Net {{\n    input image: 3x8x8\n    {body}\n}}\n")
    assert Graph.model_validate_json(graph.model_dump_json()) == graph
