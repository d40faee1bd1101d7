"""What a backend is: an emitter of code, and a runtime that runs what it emitted.

Backends are found by the entry-point group ``cnnspec.backends``; nothing here knows one by name.  An emitter imports no
framework; only a `Runtime` does, and only when it is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from cnnspec.codegen.emission import Unsupported
from cnnspec.codegen.replay import Deviation
from cnnspec.diagnostics import Diagnostic, SpecError, nearest
from cnnspec.graph import Graph, Node, Scope

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from cnnspec.weights.formats import WeightFiles

    Array = NDArray[numpy.floating[Any]]

GROUP = "cnnspec.backends"
Precision = Literal["float32", "float64"]
Member = tuple[Graph, Sequence[Graph]]
"""A model and its probes: expansions of it with other values of its parameters."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What came of one forward pass, all channels first: the outputs by name and each layer's result by path.

    ``layers`` has those layers whose result the runtime can observe; ``state`` has every weight and running statistic
    after the pass.
    """

    outputs: dict[str, Array]
    layers: dict[str, Array]
    state: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of a number with respect to the inputs, by name, and to every trainable weight, by state key.

    They are in the spec's layout; what the number does not depend on has zeros.
    """

    inputs: dict[str, Array]
    state: dict[str, Array]


@dataclass(frozen=True, slots=True)
class LayerPass:
    """What one layer alone made, channels first: its outputs, and gradients of its inputs and (by name) weights."""

    outputs: tuple[Array, ...]
    inputs: tuple[Array, ...]
    weights: dict[str, Array]


class Runtime(ABC):
    """Runs generated code for one target in this process.  Making one imports the framework."""

    single_precision_gradients: frozenset[str] = frozenset()
    """Kinds of layers whose gradient the framework multiplies by a constant of float32, whatever the precision."""
    biased_running_variance: bool
    """Whether the variance that a training pass adds to a batch norm's running one divides by ``n``, not ``n - 1``.

    The framework's own layer then does not follow the spec there (Keras's does not); everything else about the
    statistics must be equal.  `Backend.exact_training` removes the difference.
    """

    @abstractmethod
    def __init__(self, target: str, precision: Precision) -> None:
        """Import and configure the framework: CPU, full precision, deterministic."""

    @abstractmethod
    def build(self, source: str, graph: Graph) -> Any:
        """The living model that generated source defines, in this runtime's precision."""

    def build_blank(self, source: str, graph: Graph) -> Any:
        """What `build` gives, but weights that would be random may have any values: for `load` to replace.

        Drawing them takes longer than all the rest where every shape is compiled (Keras on JAX).
        """
        return self.build(source, graph)

    @abstractmethod
    def load(self, model: Any, graph: Graph, state: Mapping[str, Array]) -> None:
        """Put weights and running statistics, in the spec's layout by state key, into the model.

        Every key must be there.
        """

    @abstractmethod
    def state(self, model: Any, graph: Graph) -> dict[str, Array]:
        """The model's weights and running statistics in the spec's layout, by state key, as copies."""

    @abstractmethod
    def forward(self, model: Any, graph: Graph, inputs: Mapping[str, Array], *, training: bool) -> Pass:
        """One forward pass of a batch (``N x C x ...``, channels first) with every dropout off."""

    @abstractmethod
    def gradients(
        self,
        model: Any,
        graph: Graph,
        inputs: Mapping[str, Array],
        cotangents: Mapping[str, Array],
        *,
        training: bool,
    ) -> Gradients:
        """Gradients of ``sum over outputs of cotangent * output``, with every dropout off.

        ``cotangents`` are by the name of the output, one for each output that such a pass has.  A training pass moves
        the model's running statistics, as `forward` does.
        """

    def layer(
        self,
        model: Any,
        graph: Graph,
        node: Node,
        inputs: Sequence[Array],
        cotangents: Sequence[Array],
        *,
        training: bool,
    ) -> LayerPass | None:
        """One layer of the model alone, on these inputs; None where the code has it in an expression.

        The gradients are those of ``sum of cotangent * output``.  A backend without code takes no cotangents too, for a
        layer with inputs: then there are no gradients.
        """
        return None

    def disturbed(self, error: Callable[[Array], Array]) -> AbstractContextManager[None]:
        """Within, layers run with ``error`` put into what they compute on their way and take differences of.

        Nothing changes where a runtime cannot do that.
        """
        return nullcontext()

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """The versions of what runs: ``{"torch": "2.13.0"}``."""


class Backend(ABC):
    """A target of the compiler."""

    name: str
    """As in ``--backend torch``."""
    targets: tuple[str, ...]
    """What `verify` can run its code on, the usual one first: ``("keras-tensorflow", "keras-jax", "keras-torch")``."""
    yardstick: bool = False
    """Whether the float32 rounding of its usual target is the unit in which `verify` tells that of the others."""
    emits: bool = True
    """Whether there is code: what evaluates the graph itself has none, and `emit` then gives an empty text."""

    @abstractmethod
    def emit(self, graph: Graph, probes: Sequence[Graph]) -> str:
        """The source of a graph.

        ``probes`` are expansions of the same spec with other values of the model's parameters; what follows them
        becomes a constructor argument.  Raises `UnsupportedLayer` where the target cannot express a layer.
        """

    def emit_family(self, members: Sequence[Member]) -> str:
        """The source of several models of one spec in one module, whose blocks it has once.

        Each has its probes, as for `emit`.  Raises what `emit` does, and LookupError where a backend writes no such
        modules.
        """
        raise LookupError(f"the backend {self.name} writes one model at a time")

    def exact_training(self) -> Backend:
        """The backend whose code follows the spec in training too, to the last number.

        A backend whose runtime declares ``biased_running_variance`` gives one here that emits what removes the
        difference; its code has the same layers, weights and files.  Others need nothing: they are exact as they are.
        """
        return self

    @abstractmethod
    def runtime(self, target: str, precision: Precision) -> Runtime:
        """A runtime for one of ``targets``; raises ImportError where the framework is missing."""

    @abstractmethod
    def missing(self, target: str) -> str | None:
        """What must be installed before ``target`` can run; None where it can."""

    def weight_files(self) -> WeightFiles | None:
        """How its framework keeps weights in files; None where it has no such files."""
        return None


class UnsupportedLayer(SpecError):
    """A layer, or a block or group under its name, that a backend cannot express, with its place in the spec."""

    def __init__(self, backend: str, node: Node | Scope, gap: Unsupported, sources: Mapping[str, str]) -> None:
        what = node.layer.kind if isinstance(node, Node) else node.definition or node.label
        super().__init__(
            [
                Diagnostic(
                    "unsupported",
                    f"the {backend} backend cannot express `{what}` here: {gap.why}",
                    node.span,
                    help=f"`{node.path}` would have to be written otherwise",
                )
            ],
            sources,
        )


class WrongCode(SpecError):
    """Code that would not be the network: a fault of cnnspec, seen before anything is written."""

    def __init__(self, backend: str, graph: Graph, what: str) -> None:
        super().__init__(
            [
                Diagnostic(
                    "internal-error",
                    f"the {backend} code for `{graph.name}` would not be this network: {what}",
                    graph.root.origin,
                    help="this is a fault of cnnspec, and nothing was written; please report it with the spec",
                )
            ],
            graph.sources,
        )


@contextmanager
def held_to(graph: Graph, backend: str) -> Iterator[None]:
    """Within, code is made and run on symbols; raises `WrongCode` where that fails, unless the spec is at fault."""
    try:
        yield
    except SpecError:
        raise
    except Exception as problem:
        what = str(problem) if isinstance(problem, Deviation) else f"{type(problem).__name__}: {problem}"
        raise WrongCode(backend, graph, what) from problem


@cache
def backends() -> dict[str, Backend]:
    """Every installed backend by name."""
    return {entry.name: entry.load() for entry in entry_points(group=GROUP)}


def backend(name: str) -> Backend:
    """The backend of that name; raises LookupError with the nearest one."""
    known = backends()
    if name in known:
        return known[name]
    near = nearest(name, known) or [one for one in known if any(is_part(name, its) for its in known[one].targets)]
    raise LookupError(
        f"there is no backend `{name}`"
        + (f"; did you mean `{near[0]}`?" if near else f"; installed: {', '.join(known)}")
    )


def is_part(word: str, target: str) -> bool:
    """Whether a target has that word in its name: `jax` in ``keras-jax``."""
    return word.casefold() in target.split("-")


def emitter(name: str) -> Backend:
    """The backend of that name, which must write code; raises LookupError where it does not, or does not exist."""
    found = backend(name)
    if not found.emits:
        others = ", ".join(one.name for one in backends().values() if one.emits)
        raise LookupError(f"`{name}` writes no code and is for `verify` alone; backends that write code: {others}")
    return found
