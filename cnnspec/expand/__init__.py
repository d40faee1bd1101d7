"""From syntax trees to a graph."""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnspec.diagnostics import Diagnostic, Span, nearest
from cnnspec.expand.application import reserved_name
from cnnspec.expand.expander import Expander
from cnnspec.expand.expressions import LARGEST_NUMBER
from cnnspec.expand.names import unused_names
from cnnspec.expand.values import BlockValue, Frame, Function, Given, LayerValue
from cnnspec.graph import Graph
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS
from cnnspec.shapes import Dims, Shape, Symbolic
from cnnspec.syntax import tree
from cnnspec.zoo import fold


@dataclass(slots=True)
class Expansion:
    """What came of a model: its graph if it holds, every diagnostic, and the claims still to be checked."""

    graph: Graph | None
    diagnostics: list[Diagnostic]
    claims: list[tuple[tree.Expect, Frame]] = field(default_factory=list)
    expander: Expander | None = None


def definitions_of(files: Sequence[tree.File]) -> tuple[dict[str, tree.Definition], list[Diagnostic]]:
    """The blocks and models of some files by name, and what is wrong with their names."""
    found: dict[str, tree.Definition] = {}
    diagnostics = []
    for file in files:
        for definition in file.definitions:
            name = definition.name
            for each in (name, *(parameter.name for parameter in definition.parameters)):
                problem = reserved_name(each.text, each.span)
                if problem is not None:
                    diagnostics.append(problem.diagnostic)
            if name.text in LAYERS:
                diagnostics.append(
                    Diagnostic(
                        "duplicate-name",
                        f"`{name.text}` is a layer already",
                        name.span,
                        help=f"name the block otherwise, as in `{name.text.title().replace('_', '')}`",
                    )
                )
            elif name.text in found:
                diagnostics.append(
                    Diagnostic(
                        "duplicate-name",
                        f"`{name.text}` is defined twice",
                        name.span,
                        notes=((found[name.text].name.span, "the first one"),),
                        help="rename one of them",
                    )
                )
            else:
                found[name.text] = definition
            parameters: dict[str, Span] = {}
            for parameter in definition.parameters:
                if parameter.name.text in parameters:
                    diagnostics.append(
                        Diagnostic(
                            "duplicate-name",
                            f"two parameters are named `{parameter.name.text}`",
                            parameter.name.span,
                            notes=((parameters[parameter.name.text], "the first one"),),
                            help="give each its own name",
                        )
                    )
                parameters[parameter.name.text] = parameter.name.span
    return found, diagnostics


def stands_alone(model: tree.Definition, given: Collection[str] = ()) -> bool:
    """Whether a model needs no arguments beside those given; one that does is there to be derived from."""
    return all(parameter.default is not None or parameter.name.text in given for parameter in model.parameters)


def choose_model(
    files: Sequence[tree.File], name: str | None, given: Collection[str] = ()
) -> tree.Definition | Diagnostic:
    """The model by that name in the first file, or its only one that stands alone with what is given."""
    main = files[0]
    models = [definition for definition in main.definitions if definition.keyword == "model"]
    names = [model.name.text for model in models]
    if name is not None:
        near = nearest(name, names)
        for model in models:
            if fold(model.name.text) == fold(name):
                return model
        return Diagnostic(
            "unknown-model",
            f"there is no model `{name}` in {main.name}",
            main.span,
            help=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(names) or 'no models'}",
        )
    if not models:
        return Diagnostic(
            "no-model", f"{main.name} has no model", main.span, help="add one: `model Net { input image: 1x28x28 ... }`"
        )
    models = [model for model in models if stands_alone(model, given)] or models
    if len(models) > 1:
        return Diagnostic(
            "several-models",
            f"{main.name} has {len(models)} models",
            models[1].name.span,
            notes=((models[0].name.span, "the first one"),),
            help=f"choose one with `--model`: {', '.join(model.name.text for model in models)}",
        )
    return models[0]


def expand(
    files: Sequence[tree.File],
    sources: dict[str, str],
    *,
    model: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Expansion:
    """Expand a model of the first file; the other files lend their blocks.

    ``parameters`` are spec-time values for the model's parameters.  ``inputs`` replaces input shapes by name; the name
    "" stands for every input.
    """
    definitions, diagnostics = definitions_of(files)
    chosen = choose_model(files, model, parameters or ())
    if isinstance(chosen, Diagnostic):
        return Expansion(None, [*diagnostics, chosen])
    expander = Expander(definitions)
    expander.override_inputs = dict(inputs or {})
    given = {name: Given(as_spec_value(value), chosen.name.span) for name, value in (parameters or {}).items()}
    with expander.bounded():
        for diagnostic in diagnostics:
            expander.report(diagnostic)
    # An expansion makes ever more objects and no cycles: collections would look at each of them again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        graph = expander.model(chosen, given, sources)
    finally:
        if collecting:
            gc.enable()
    if graph is not None:
        # Beside errors, warnings would mostly be about what the errors left out.
        unused = unused_names(files[0])
        for name in unused:
            expander.report(name.diagnostic)
        expander.warn_unused(graph, {name.text for name in unused})
    return Expansion(graph, expander.diagnostics, expander.claims, expander)


def as_spec_value(value: Any) -> Any:
    """A Python value as the language has it; raises TypeError where it has none."""
    match value:
        case bool() | float() | str() | Dims() | LayerValue() | BlockValue() | Initialiser() | Function() | Symbolic():
            return value
        case int():
            if abs(value) > LARGEST_NUMBER:
                raise TypeError("a parameter of a model is at most 10^18")
            return value
        case tuple() if value and all(type(item) is int for item in value):
            return Dims(value)
        case list() | tuple():
            return type(value)(as_spec_value(item) for item in value)
    raise TypeError(f"a parameter of a model cannot be a {type(value).__name__}")
