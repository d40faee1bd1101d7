"""The arguments that choose a model, common to every command that takes a SPEC."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from cnnspec.cli.output import complain

if TYPE_CHECKING:
    from cnnspec import api, loading
    from cnnspec.graph import Graph
    from cnnspec.shapes import Shape
    from cnnspec.syntax import tree

Command = TypeVar("Command", bound=Callable[..., Any])
NAMED_VALUE = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
LIKE_A_SHAPE = re.compile(
    r"\s*(?:([a-z_]\w*)\s*[:=])?[\s(]*([1-9]\d{0,8}(?:(?:\s*[,x*]\s*|\s+)[1-9]\d{0,8})*)[\s)]*", re.IGNORECASE
)
"""What may be meant as a shape: ``image:3, 64, 64``."""


class Selection(NamedTuple):
    """A model as the command line names it."""

    spec: str
    model: str | None
    parameters: dict[str, Any]
    inputs: dict[str, Shape]

    def load(self) -> Graph:
        """The checked graph; warnings go to standard error.  Raises `SpecError`."""
        from cnnspec import loading
        from cnnspec.diagnostics import SpecError

        checked = self.check(loading.parse_all(loading.find(self.spec)), self.model)
        if checked.graph is None or checked.failed:
            raise SpecError(checked.diagnostics, checked.sources)
        complain(checked.diagnostics, checked.sources)
        return checked.graph

    def load_with_probes(self) -> tuple[Graph, list[Graph]]:
        """The checked graph, and expansions with other values of its parameters, which show what follows them."""
        from cnnspec import api, loading

        with _asking_for_names():
            return api.load_for_compiling(
                loading.find(self.spec), model=self.model, parameters=self.parameters, inputs=self.inputs
            )

    def load_all_with_probes(self) -> list[tuple[Graph, list[Graph]]]:
        """Every model of the file that needs no arguments, as `load_with_probes` gives one."""
        from cnnspec import api, loading

        with _asking_for_names():
            return api.load_all_for_compiling(loading.find(self.spec), inputs=self.inputs)

    def check(self, parsed: loading.Parsed, model: str | None) -> api.Checked:
        """Check a model of the parsed spec, with the parameters and inputs of the command line."""
        from cnnspec import api

        with _asking_for_names():
            return api.check(parsed, model=model, parameters=self.parameters, inputs=self.inputs)


@contextmanager
def _asking_for_names() -> Iterator[None]:
    """Turn a shape that must say which input it is for into wrong usage."""
    from cnnspec.api import UnnamedShape
    from cnnspec.shapes import show

    try:
        yield
    except UnnamedShape as error:
        import shlex

        given = shlex.quote(f"{error.likely}={show(error.shape)}")
        raise click.UsageError(f"{error.what}: write `--input {given}`") from None


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
        try:
            shapes[name] = _shape(text)
        except BadValue:
            match = LIKE_A_SHAPE.fullmatch(given)
            if match is None:
                raise
            meant = (f"{match[1]}=" if match[1] else "") + "x".join(re.findall(r"\d+", match[2]))
            raise click.UsageError(f"write `--input {meant}`, not `--input {given}`") from None
    return shapes


def separated(targets: str | None) -> list[str] | None:
    """The names in ``--targets A,B``.

    For a command that allows extra arguments: they are refused here, since they may be targets behind blanks.
    """
    extra = click.get_current_context().args
    if extra:
        why = "; targets have commas and no blanks between them: `--targets torch,keras-jax`" if targets else ""
        raise click.UsageError(f"there is an argument too many, `{extra[0]}`{why}")
    return [name.strip() for name in targets.split(",") if name.strip()] if targets is not None else None


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
