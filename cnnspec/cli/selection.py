"""The arguments that choose a model, common to every command that takes a SPEC."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from cnnspec.cli.output import complain

if TYPE_CHECKING:
    from cnnspec.graph import Graph
    from cnnspec.shapes import Shape
    from cnnspec.syntax import tree

Command = TypeVar("Command", bound=Callable[..., Any])
NAMED_VALUE = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)


class Selection(NamedTuple):
    """A model as the command line names it."""

    spec: str
    model: str | None
    parameters: dict[str, Any]
    inputs: dict[str, Shape]

    def load(self) -> Graph:
        """The checked graph; warnings go to standard error.  Raises `SpecError`."""
        from cnnspec import api, loading
        from cnnspec.diagnostics import SpecError

        checked = api.check(
            loading.parse_all(loading.find(self.spec)),
            model=self.model,
            parameters=self.parameters,
            inputs=self.inputs,
        )
        if checked.graph is None or checked.failed:
            raise SpecError(checked.diagnostics, checked.sources)
        complain(checked.diagnostics, checked.sources)
        return checked.graph

    def load_with_probes(self) -> tuple[Graph, list[Graph]]:
        """The checked graph, and expansions with other values of its parameters, which show what follows them."""
        from cnnspec import api, loading

        return api.load_for_compiling(
            loading.find(self.spec), model=self.model, parameters=self.parameters, inputs=self.inputs
        )


class BadValue(click.ClickException):
    """A value on the command line that is no value of the language; shown with its place."""

    exit_code = 2

    def __init__(self, diagnostics: Any, sources: dict[str, str]) -> None:
        super().__init__(diagnostics[0].message)
        self.diagnostics = diagnostics
        self.sources = sources

    @override
    def show(self, file: Any = None) -> None:
        complain(self.diagnostics, self.sources)


class Spec(click.types.StringParamType):
    """A path, a shipped network, or ``-``; the shell completes both paths and names."""

    name = "spec"

    @override
    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from cnnspec import zoo

        found = [CompletionItem(name) for name in sorted(zoo.models()) if name.startswith(incomplete.lower())]
        return [*found, CompletionItem(incomplete, type="file")]


def chooses_model(command: Command) -> Command:
    """Adds the options ``--model``, ``--set`` and ``--input``."""
    options = (
        click.option("--model", metavar="NAME", help="The model, where a file has several."),
        click.option(
            "--set",
            "settings",
            metavar="NAME=VALUE",
            multiple=True,
            help="Give a parameter of the model another value, as in `--set classes=10`.",
        ),
        click.option(
            "--input",
            "inputs",
            metavar="[NAME=]SHAPE",
            multiple=True,
            help="Give an input another shape, as in `--input 3x320x320`.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def takes_spec(command: Command) -> Command:
    """Adds the argument SPEC and the options that choose a model in it."""
    return click.argument("spec", type=Spec())(chooses_model(coloured(command)))


def _set_colour(ctx: click.Context, param: click.Parameter, value: str) -> None:
    ctx.color = {"auto": None, "always": True, "never": False}[value]


def coloured(command: Command) -> Command:
    """Adds the option ``--color``."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        expose_value=False,
        is_eager=True,
        callback=_set_colour,
        help="Colour diagnostics: by default on a terminal, unless NO_COLOR is set.",
    )(command)


def as_json_option(command: Command) -> Command:
    """Adds the option ``--json``."""
    return click.option("--json", "as_data", is_flag=True, help="Write JSON with stable keys.")(command)


def select(spec: str, model: str | None, settings: tuple[str, ...], inputs: tuple[str, ...]) -> Selection:
    """The model that the options choose; raises `click.UsageError` or `BadValue`."""
    return Selection(spec, model, _parameters(spec, settings), _shapes(inputs))


def _parameters(spec: str, settings: tuple[str, ...]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for setting in settings:
        match = NAMED_VALUE.fullmatch(setting)
        if match is None:
            raise click.UsageError(f"`--set` takes a name and a value, as in `--set classes=10`, not `{setting}`")
        name, text = match.groups()
        if name in parameters:
            raise click.UsageError(f"`--set {name}=` is given twice")
        parameters[name] = _value(spec, name, text)
    return parameters


def _value(spec: str, name: str, text: str) -> Any:
    """A value of the language: a number, true, [1, 2], "text", 3x3, a layer such as relu, or a block of the spec."""
    from cnnspec.diagnostics import SpecError
    from cnnspec.expand.expander import Expander
    from cnnspec.expand.values import Frame, Problem, Unknown
    from cnnspec.syntax.parse import parse_expression

    place = f"<--set {name}>"
    try:
        expression = parse_expression(text, place)
        expander = Expander({})
        try:
            value = expander.evaluate(expression, Frame(""))
        except Problem as problem:
            if problem.diagnostic.code != "unknown-name":
                raise
            expander = Expander(_definitions(spec))
            value = expander.evaluate(expression, Frame(""))
    except SpecError as error:
        raise BadValue(error.diagnostics, {place: text}) from None
    except Problem as problem:
        raise BadValue([problem.diagnostic], {place: text}) from None
    if isinstance(value, Unknown):
        raise BadValue(expander.diagnostics, {place: text})
    return value


def _definitions(spec: str) -> dict[str, tree.Definition]:
    """The blocks that a spec defines, if it can be read; standard input can be read only once, and not for this."""
    from cnnspec import loading
    from cnnspec.diagnostics import SpecError
    from cnnspec.expand import definitions_of

    try:
        return definitions_of(loading.parse_all(loading.find(spec)).files)[0] if spec != "-" else {}
    except SpecError:  # told when the spec itself is loaded
        return {}


def _shapes(inputs: tuple[str, ...]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for given in inputs:
        match = NAMED_VALUE.fullmatch(given)
        name, text = match.groups() if match else ("", given)
        if name in shapes:
            raise click.UsageError(f"`--input {name + '=' if name else ''}` is given twice")
        shapes[name] = _shape(text)
    return shapes


def _shape(text: str) -> Shape:
    """A shape as an input declares it: ``3x224x224``, ``784``, or ``[1, H, W]``."""
    from cnnspec.diagnostics import Diagnostic, SpecError
    from cnnspec.shapes import Dim, Symbolic
    from cnnspec.syntax import tree
    from cnnspec.syntax.parse import parse_expression

    place = "<--input>"
    try:
        expression = parse_expression(text, place)
    except SpecError as error:
        raise BadValue(error.diagnostics, {place: text}) from None
    sizes: list[Dim] = []
    match expression:
        case tree.DimsLiteral():
            sizes = list(expression.sizes)
        case tree.Number(value=int(value)):
            sizes = [value]
        case tree.ListLiteral():
            for item in expression.items:
                if isinstance(item, tree.Name):
                    sizes.append(Symbolic.of(item.text))
                elif isinstance(item, tree.Number) and isinstance(item.value, int):
                    sizes.append(item.value)
    whole = not isinstance(expression, tree.ListLiteral) or len(sizes) == len(expression.items)
    if not sizes or not whole or any(isinstance(size, int) and not 0 < size < 10**9 for size in sizes):
        message = f"a shape is sizes of at least 1 such as 3x224x224, not `{text[:40]}`"
        help = "channels first and without the batch; unknown sizes as names: `[3, H, W]`"
        raise BadValue([Diagnostic("bad-shape", message, expression.span, help=help)], {place: text})
    return tuple(sizes)
