"""The text of a value in all its uses: a literal, an expression of names, or a rule over the turns of a loop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnspec.codegen.alignment import Body, Differ, Slot, skeleton
from cnnspec.codegen.emission import REQUIRED, Argument, Construct, Formula, Maker, literal, readable
from cnnspec.codegen.explanation import POSITION, Names, Values
from cnnspec.codegen.program import Call, Expression
from cnnspec.codegen.translation import Translated, is_literal
from cnnspec.diagnostics import Span


def resolve(values: Values, body: Body, names: Names, hint: str, sources: Sequence[Span | Translated] = ()) -> str:
    """The text of an expression that has these values in these contexts.

    ``sources`` are expressions of the spec that may say so, and come first.
    """
    some = next(iter(values.values()))
    names.asked = next((one for one in sources if isinstance(one, Span)), None)
    translated = names.translate(sources, values, body)
    if translated is not None and not is_literal(translated):
        return translated
    if all(type(value) is type(some) and value == some for value in values.values()):
        return literal(some)
    if isinstance(some, tuple | list):
        whole = names.given(outermost(values, body))
        if whole is not None:
            return whole
        if any(type(value) is not type(some) or len(value) != len(some) for value in values.values()):
            raise Differ("lists of other lengths")
        inside = [element for one in _translations(sources, names) for element in one.elements()]
        parts = [
            resolve({c: value[i] for c, value in values.items()}, body, names, hint, [*inside, *sources])
            for i in range(len(some))
        ]
        inner = ", ".join(parts) + ("," if len(parts) == 1 and isinstance(some, tuple) else "")
        return f"({inner})" if isinstance(some, tuple) else f"[{inner}]"
    if all(isinstance(value, Construct) for value in values.values()):
        spans = {str(number): one for number, one in enumerate(sources) if isinstance(one, Span)}
        given = Origins(spans, [one for one in sources if isinstance(one, Translated)])
        return resolve_call(list(values.values()), list(values), body, names, hint, given).text()
    if any(not isinstance(value, bool | int | float | str | Maker) for value in values.values()):
        raise Differ("values that no argument can carry")
    if body.outer is None:
        return names.explain(values, hint)
    outer: dict[int, list[Any]] = {}
    turns: dict[int, list[tuple[int, Any]]] = {}
    for context, value in values.items():
        outer.setdefault(body.parent[context], []).append(value)
        if body.turn is not None:
            turns.setdefault(body.parent[context], []).append((body.turn[context] + body.first, value))
    if all(len({(type(v), v) for v in some_values}) == 1 for some_values in outer.values()):
        return resolve({c: v[0] for c, v in outer.items()}, body.outer, names, hint)
    if body.turn is None or any(isinstance(value, Maker) for value in values.values()):
        raise Differ("values that change within one use")
    return _over_turns(turns, body, names, hint)


def _translations(sources: Sequence[Span | Translated], names: Names) -> list[Translated]:
    return [made for one in sources for made in ([one] if isinstance(one, Translated) else names.translations([one]))]


def outermost(values: Values, body: Body) -> Values:
    """Values by use of the routine; empty where they change within one use."""
    while body.outer is not None:
        lifted: Values = {}
        for context, value in values.items():
            if lifted.setdefault(body.parent[context], value) != value:
                return {}
        values, body = lifted, body.outer
    return values


def _over_turns(turns: dict[int, list[tuple[int, Any]]], body: Body, names: Names, hint: str) -> str:
    """A value that changes from turn to turn: an arithmetic progression, or another first one and then a rule."""
    assert body.outer is not None
    i = body.variable
    if not i:
        raise Differ("a loop without a counter")
    if all(type(value) is bool for points in turns.values() for _, value in points):
        for test, truth in ((f"{i} == {body.first}", True), (f"{i} != {body.first}", False)):
            if all(value == ((turn == body.first) is truth) for points in turns.values() for turn, value in points):
                return test
        raise Differ("a choice that follows no rule over the turns of a loop")
    text = _progression(turns, body, names, hint)
    if text is not None:
        return text
    firsts = {c: points[0][1] for c, points in turns.items() if points[0][0] == body.first}
    rests = {c: [point for point in points if point[0] > body.first] for c, points in turns.items()}
    rests = {c: points for c, points in rests.items() if points}
    if not firsts or not rests:
        raise Differ("values that follow no rule over the turns of a loop")
    if all(len({(type(value), value) for _, value in points}) == 1 for points in rests.values()):
        rest: str | None = resolve({c: points[0][1] for c, points in rests.items()}, body.outer, names, hint)
    else:
        rest = _progression(rests, body, names, hint)
    if rest is None:
        raise Differ("values that follow no rule over the turns of a loop")
    first = resolve(firsts, body.outer, names, hint)
    return f"{_term(first)} if {i} == {body.first} else {_term(rest)}"


def _progression(turns: dict[int, list[tuple[int, Any]]], body: Body, names: Names, hint: str) -> str | None:
    """``start + i * step``, if the values are so in every use; those of uses with one turn may be on any line."""
    assert body.outer is not None
    i = body.variable
    if not all(type(value) is int for points in turns.values() for _, value in points):
        return None
    steps: dict[int, int] = {}
    for c, points in turns.items():
        if len(points) > 1:
            (t, value), (later, other) = points[:2]
            steps[c], left = divmod(other - value, later - t)
            if left or any(v != value + (at - t) * steps[c] for at, v in points):
                return None
    if not steps:
        return None
    some = next(iter(steps.values()))
    starts = {c: points[0][1] - points[0][0] * steps.get(c, some) for c, points in turns.items()}
    alone = any(points[0][0] > body.first for c, points in turns.items() if c not in steps)
    known = {c: steps.get(c, some) for c in turns} if alone else steps
    step = resolve(known, body.outer, names, f"{hint}_step")
    start = resolve(starts, body.outer, names, hint)
    down = re.fullmatch(r"-\d+", step) is not None
    size = step[1:] if down else step
    product = i if size == "1" else f"{i} * {_tight(size)}"
    if down:
        return f"{_term(start)} - {product}"
    if start == "0":
        return product
    return f"{product} + {start}" if start.isdigit() else f"{_term(start)} + {product}"


def resolve_label(slot: Slot, body: Body, names: Names) -> tuple[str, bool]:
    """A part's label in all uses, and whether it has expressions in it: ``c{i}``."""
    if body.positional:
        return "", False
    labels = {c: piece.label for c, piece in slot.pieces.items()}
    first = next(iter(labels.values()))
    if all(label == first for label in labels.values()):
        return first, False
    written = _translated_label(slot, labels, body, names)
    if written is not None:
        return written, True
    shape = skeleton(first)
    if any(skeleton(label) != shape for label in labels.values()):
        raise Differ("other labels in other uses")
    if any(str(int(n)) != n for label in labels.values() for n in re.findall(r"\d+", label)):
        raise Differ("a number with leading zeros")
    numbers = {c: [int(n) for n in re.findall(r"\d+", label)] for c, label in labels.items()}
    text = shape[0]
    for position, after in enumerate(shape[1:]):
        one = resolve({c: n[position] for c, n in numbers.items()}, body, names, POSITION)
        choice = re.fullmatch(r"\((\w+ if [^()]+ else \w+)\)", one)
        text += (one if one.isdigit() else f"{{{choice[1] if choice else one}}}") + after
    return text, True


def _translated_label(slot: Slot, labels: Mapping[int, str], body: Body, names: Names) -> str | None:
    """The spec's own label with its expressions, without the parts that containers around it have."""
    parts = [piece.node or piece.scope for piece in slot.pieces.values()]
    spans = {part.span for part in parts if part is not None}
    label = names.source.labels.get(spans.pop()) if len(spans) == 1 and None not in parts else None
    if label is None:
        return None
    whole = {c: part.label for c, part in zip(labels, parts, strict=True) if part is not None}
    outer = {text.count(".") - labels[c].count(".") for c, text in whole.items()}
    if len(outer) > 1 or any(not text.endswith(labels[c]) for c, text in whole.items()):
        return None
    text = names.translate_string(label.parts, whole, body)
    if text is None:
        return None
    parts_of_text = re.split(r"\.(?![^{]*\})", text)
    return ".".join(parts_of_text[next(iter(outer)) :])


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the arguments of a call may come from: what the spec gives the layer, and the channels of its inputs.

    An argument that differs between uses may come from any of them, one that does not from that of its own name alone.
    """

    fields: Mapping[str, Span] = field(default_factory=dict)
    channels: Sequence[Translated] = ()

    def of(self, name: str | None, position: int, varies: bool) -> list[Span | Translated]:
        """The expressions that an argument may be, the likeliest first."""
        own = self.fields.get(ALIASES.get(name, name)) if name is not None else None
        found: list[Span | Translated] = [own] if own is not None else []
        if name is None and position == 0:
            found += self.channels
        if varies:
            found += [span for span in self.fields.values() if span is not own]
            found += self.channels if name is not None or position else []
        return found


ALIASES = {
    "kernel_size": "kernel",
    "strides": "stride",
    "padding": "pad",
    "dilation_rate": "dilation",
    "use_bias": "bias",
    "epsilon": "eps",
    "output_padding": "output_pad",
    "count_include_pad": "count_pad",
}
"""What the arguments of layers are called in targets, by the spec's name."""
NOWHERE = Origins()


def resolve_call(
    calls: list[Construct],
    contexts: Sequence[int],
    body: Body,
    names: Names,
    label: str,
    origins: Origins = NOWHERE,
) -> Call:
    first = calls[0]
    if any(call.callee != first.callee or len(call.arguments) != len(first.arguments) for call in calls):
        raise Differ("other calls in other uses")
    arguments = []
    for position, argument in enumerate(first.arguments):
        hint = "_".join(filter(None, (label, argument.name or _meaning(first.callee, position))))
        some = [call.arguments[position] for call in calls]
        varies = any(type(one.value) is not type(some[0].value) or one.value != some[0].value for one in some)
        sources = origins.of(argument.name, position, varies)
        one = _argument(some, contexts, body, names, hint, sources)
        if one is not None:
            arguments.append(one)
    return Call(first.callee, arguments, first.callee, first.helper)


def _meaning(callee: str, position: int) -> str:
    """What an argument without a name is, as far as the call tells."""
    if position or "Pool" in callee:
        return "size"
    return "channels" if re.search("Conv|Dense|Linear|Norm", callee) else ""


def _argument(
    arguments: list[Argument],
    contexts: Sequence[int],
    body: Body,
    names: Names,
    hint: str,
    sources: Sequence[Span | Translated],
) -> tuple[str | None, str] | None:
    """An argument's text in all uses, or None where it is the target's default everywhere."""
    first = arguments[0]
    if any(argument.name != first.name for argument in arguments):
        raise Differ("other arguments in other uses")
    values = {c: argument.value for c, argument in zip(contexts, arguments, strict=True)}
    if first.default is not REQUIRED and all(
        type(argument.value) is type(argument.default) and argument.value == argument.default for argument in arguments
    ):
        translated = names.translate(sources, values, body)
        return None if translated is None or is_literal(translated) else (first.name, translated)
    return first.name, readable(resolve(values, body, names, hint, sources))


def resolve_formula(
    formulas: list[Formula], contexts: Sequence[int], body: Body, names: Names, label: str, origins: Origins = NOWHERE
) -> Expression:
    first = formulas[0]
    if any(formula.pattern != first.pattern or formula.values.keys() != first.values.keys() for formula in formulas):
        raise Differ("other formulas in other uses")
    values = {
        name: resolve(
            {c: f.values[name] for c, f in zip(contexts, formulas, strict=True)},
            body,
            names,
            f"{label}_{name}",
            origins.of(name, 1, len({repr(f.values[name]) for f in formulas}) > 1),
        )
        for name in first.values
    }
    return Expression(first.pattern, values, first.loose, first.helper)


def _tight(text: str) -> str:
    """An expression as a factor: in brackets, unless it is a name or a number."""
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"


def _term(text: str) -> str:
    """An expression as a term of a sum, or a side of a condition."""
    return f"({text})" if " if " in text and not text.startswith("(") else text
