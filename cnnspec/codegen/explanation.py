"""Numbers that differ between the uses of a definition, explained by its parameters and the spec's names.

In this order: a parameter of the spec's block, a name that the block binds, a simple expression of these (a product, a
quotient, a comparison), or else a parameter of its own.  Every expression is checked against every use.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cnnspec.codegen.alignment import Differ
from cnnspec.codegen.emission import Maker, Sizes
from cnnspec.codegen.naming import safe
from cnnspec.codegen.pieces import Piece

Values = dict[int, Any]
"""A value for each context of a body."""
POSITION = "number"
"""The name, if it needs one, of a number in a label."""


class Names:
    """Explains values of one routine by its parameters and names."""

    def __init__(
        self,
        uses: Sequence[tuple[int, Piece]],
        channels: Sequence[tuple[str, Values]],
        reserved: set[str],
        carried: Sequence[str] | None,
    ) -> None:
        """``channels`` are varying channels of inputs with wished names, ``carried`` is given for the model."""
        self.uses = uses
        self.model = carried is not None
        self.reserved = reserved
        self.implicit: dict[str, Values] = {}
        self.arguments: dict[str, Values] = {}
        self.spec_locals: dict[str, Values] = {}
        self.used: dict[str, Values] = {}
        self.tuples: set[str] = set()
        """The parameters that must be tuples where they are."""
        self.layers: dict[str, Values] = {}
        """The parameters that take a layer, with the uses that are known to apply it."""
        self.defined: dict[str, str] = {}
        self.tests: list[tuple[str, Values]] = []
        self.counters: set[str] = set()
        """The variables of loops."""
        self.open_loops: list[str] = []
        """Those of the loops that are being planned."""
        scopes = [piece.scope for _, piece in uses]
        if all(scope is not None for scope in scopes):
            known = [scope for scope in scopes if scope is not None]
            if carried is not None:
                for name in carried:
                    self.arguments[self.fresh(safe(name))] = {i: s.arguments[name] for i, s in enumerate(known)}
            else:
                for name, values in self._varying([scope.arguments for scope in known]):
                    self.arguments[self.fresh(safe(name))] = values
                counters = {name for _, piece in uses for name in _loop_variables(piece.body)}
                for name, values in self._varying([scope.names for scope in known]):
                    if name in counters:
                        continue
                    self.spec_locals[self.fresh(safe(name))] = values
        for name, values in channels:
            self.implicit[self.fresh(name)] = values

    @staticmethod
    def _varying(named: list[dict[str, Any]]) -> list[tuple[str, Values]]:
        found = []
        for name in named[0]:
            if all(name in one for one in named):
                values = _compact({i: one[name] for i, one in enumerate(named)})
                if len({(type(v), v) for v in values.values()}) > 1 and all(
                    isinstance(v, bool | int | float) or (isinstance(v, tuple) and all(type(size) is int for size in v))
                    for v in values.values()
                ):
                    found.append((name, values))
        return found

    @property
    def all(self) -> set[str]:
        """Every name that means something in the constructor."""
        return {*self.arguments, *self.implicit, *self.spec_locals, *self.used, *self.defined, *self.counters}

    def fresh(self, wish: str) -> str:
        """A name like this one that means nothing yet."""
        name, number = wish, 2
        while name in self.all or name in self.reserved:
            name = f"{wish}_{number}"
            number += 1
        return name

    @contextmanager
    def counter(self) -> Iterator[str]:
        """A variable for a loop, to be used again once the loop is over."""
        letters = (letter + number for number in ("", *map(str, range(2, 100))) for letter in "ijklmn")
        taken = {
            *self.arguments,
            *self.implicit,
            *self.spec_locals,
            *self.used,
            *self.defined,
            *self.reserved,
            *self.open_loops,
        }
        name = next(name for name in letters if name not in taken)
        self.counters.add(name)
        self.open_loops.append(name)
        try:
            yield name
        finally:
            self.open_loops.pop()

    def use(self, name: str) -> str:
        self.used[name] = {**self.arguments, **self.implicit, **self.used}[name]
        return name

    def candidates(self) -> dict[str, Values]:
        return {**self.arguments, **self.implicit, **self.used}

    def given(self, values: Values) -> str | None:
        """The parameter that has these values, if there is one."""
        for name, has in self.candidates().items():
            if values and _equal(has, values):
                return self._as_given(name, values)
        return None

    def _as_given(self, name: str, values: Values) -> str:
        if any(isinstance(value, tuple) and not isinstance(value, Sizes) for value in values.values()):
            self.tuples.add(name)
        return self.use(name)

    def namesake(self, values: Values, hint: str) -> str | None:
        """The varying parameter of an argument's own name, where the uses that have it agree: a branch's `stride`."""
        for name, has in self.arguments.items():
            if name in hint and values and len(values) < len(self.uses) and _equal(has, values):
                return self._as_given(name, values)
        return None

    def width(self, values: Values, *, first: bool) -> str | None:
        """The varying parameter that a number of channels always is in a branch, which other widths may take one day.

        Where channels come in (``first``) that is what the input has; behind that, what the spec's block is given.
        Smaller numbers are the same as some other parameter's by chance too often.
        """
        known = {**self.implicit, **self.arguments} if first else {**self.arguments, **self.implicit}
        for name, has in known.items():
            if values and len(values) < len(self.uses) and _equal(has, values) and min(values.values()) >= 8:
                return self._as_given(name, values)
        return None

    def explain(self, values: Values, hint: str) -> str:
        """The text of an expression with these values."""
        if all(isinstance(value, bool) for value in values.values()):
            return self._condition(values, hint)
        if any(isinstance(value, Maker) for value in values.values()):
            return self._layer(values, hint)
        known = self.given(values)
        if known is not None:
            return known
        if self.model:
            text = self._multiple(values, self.arguments)
            if text is None:
                raise Differ("the model's parameters do not explain this")
            return text
        for name, has in self.spec_locals.items():
            if _equal(has, values):
                return self._local(name, has)
        if hint == POSITION:
            # Of a few small numbers many a quotient is the same by chance; what counts optional layers is meant.
            text = self._by_test(values) or self._after_options(values) or self._expression(values)
        else:
            text = self._expression(values) or self._by_test(values)
        return text if text is not None else self._new(values, hint)

    def _layer(self, values: Values, hint: str) -> str:
        """The parameter that takes these layers; uses that do not apply it may be given any."""
        for name, known in self.layers.items():
            if all(known.get(i, maker) == maker for i, maker in values.items()) and (
                name == safe(hint) or values.keys() <= known.keys()
            ):
                known |= values
                self.used[name] |= values
                return name
        name = self._new(values, hint)
        self.layers[name] = dict(values)
        return name

    def _after_options(self, values: Values) -> str | None:
        """A position after several optional layers."""
        tests = [(test, truth) for test, truth in self.tests if values.keys() <= truth.keys()]
        for count in range(2, len(tests) + 1):
            for some in itertools.combinations(tests, count):
                bases = {value - sum(truth[i] for _, truth in some) for i, value in values.items()}
                if len(bases) == 1 and (base := bases.pop()) >= 0:
                    shifts = [self._shift(test) for test, _ in some]
                    return " + ".join([*shifts, *([str(base)] if base else [])])
        return None

    def _shift(self, test: str) -> str:
        """A name for how far an optional layer moves the positions of those after it."""
        number = f"int({test})"
        name = next((name for name, text in self.defined.items() if text == number), None) or self.fresh("shift")
        self.defined[name] = number
        return name

    def _by_test(self, values: Values) -> str | None:
        """A number that an earlier condition decides, such as the position of what follows an optional layer."""
        for test, truth in self.tests:
            if not all(type(value) is int and i in truth for i, value in values.items()):
                continue
            yes = {value for i, value in values.items() if truth[i]}
            no = {value for i, value in values.items() if not truth[i]}
            if len(yes) != 1 or len(no) != 1:
                continue
            a, b = yes.pop(), no.pop()
            if a != b + 1:
                return f"({a} if {test} else {b})"
            name = self._shift(test)
            return f"{name} + {b}" if b else name
        return None

    def _local(self, name: str, values: Values) -> str:
        if name in self.defined or name in self.used:
            return name
        numbers = not any(isinstance(value, bool) for value in values.values())
        text = self._expression(values) if numbers else self._predicate(values)
        if text is None:
            self.used[name] = values
        else:
            self.defined[name] = text
        return name

    def _new(self, values: Values, hint: str) -> str:
        if self.model:
            raise Differ("a model takes only its own parameters")
        name = self.fresh(safe(hint))
        common = max(values.values(), key=lambda value: sum(other == value for other in values.values()))
        self.used[name] = {i: values.get(i, common) for i in range(len(self.uses))}
        return name

    def _multiple(self, values: Values, known: dict[str, Values]) -> str | None:
        for name, has in known.items():
            pairs = [(has[i], value) for i, value in values.items()]
            if not all(type(a) is int and type(b) is int and a > 0 and b > 0 for a, b in pairs):
                continue
            if all(b % a == 0 for a, b in pairs) and len({b // a for a, b in pairs}) == 1:
                return f"{self.use(name)} * {pairs[0][1] // pairs[0][0]}"
            if not self.model and all(a % b == 0 for a, b in pairs) and len({a // b for a, b in pairs}) == 1:
                return f"{self.use(name)} // {pairs[0][0] // pairs[0][1]}"
        return None

    def _expression(self, values: Values) -> str | None:
        """A product or quotient of a parameter and a number, or of two parameters."""
        known = self.candidates()
        numbers = {n: h for n, h in known.items() if all(type(h[i]) is int and h[i] > 0 for i in values)}
        if not all(type(value) is int for value in values.values()):
            return None
        # Of a few uses many a number is the same by chance: there, what two parameters say is more likely meant.
        if len(values) == len(self.uses):
            text = self._multiple(values, known) or self._of_two(values, numbers)
        else:
            text = self._of_two(values, numbers) or self._multiple(values, known)
        if text is not None:
            return text
        for name, has in numbers.items():
            if len(set(values.values())) > 1 and all(has[i] // 2 == value for i, value in values.items()):
                return f"{self.use(name)} // 2"
        return None

    def _of_two(self, values: Values, numbers: dict[str, Values]) -> str | None:
        order = list(numbers)
        for one, a in numbers.items():
            for other, b in numbers.items():
                if order.index(one) < order.index(other) and all(a[i] * b[i] == value for i, value in values.items()):
                    return f"{self.use(one)} * {self.use(other)}"
                if one != other and all(a[i] % b[i] == 0 and a[i] // b[i] == value for i, value in values.items()):
                    return f"{self.use(one)} // {self.use(other)}"
        return None

    def _condition(self, values: Values, hint: str) -> str:
        for name, has in self.candidates().items():
            if _equal(has, values):
                return self.use(name)
        for name, has in self.spec_locals.items():
            if _equal(has, values):
                return self._local(name, has)
        for name, has in {**self.candidates(), **self.spec_locals}.items():
            if all(has[i] is (not value) for i, value in values.items()):
                inner = self.use(name) if name in self.candidates() else self._local(name, has)
                return f"not {inner}"
        return self._predicate(values) or self._new(values, hint)

    def _predicate(self, values: Values) -> str | None:
        """A comparison of a parameter with 0 or 1, or of two parameters or names."""
        if self.model:
            return None
        whole = {n: h for n, h in self.candidates().items() if all(type(h[i]) is int for i in values)}
        for name, has in whole.items():
            if name in self.implicit:
                continue
            for constant in (1, 0):
                if all((has[i] == constant) == value for i, value in values.items()):
                    return f"{self.use(name)} == {constant}"
                if all((has[i] != constant) == value for i, value in values.items()):
                    return f"{self.use(name)} != {constant}"
        more = {n: h for n, h in self.spec_locals.items() if all(type(h[i]) is int for i in values)}
        both = {**whole, **more}
        names = [*self.implicit, *(name for name in both if name not in self.implicit)]
        for position, one in enumerate(names):
            for other in names[position + 1 :]:
                if one not in both or other not in both:
                    continue
                same = {i: both[one][i] == both[other][i] for i in values}
                symbol = "==" if all(same[i] == v for i, v in values.items()) else "!="
                if symbol == "==" or all(same[i] != v for i, v in values.items()):
                    texts = [
                        self._local(n, more[n]) if n in more and n not in whole else self.use(n) for n in (one, other)
                    ]
                    return f"{texts[0]} {symbol} {texts[1]}"
        return None


def _loop_variables(body: Iterable[Piece]) -> Iterator[str]:
    for piece in body:
        for variables, turn in zip(piece.variables, piece.turns, strict=False):
            yield from variables
            yield from _loop_variables(turn)
        if piece.kind == "branch":
            yield from _loop_variables(piece.body)


def _compact(values: Values) -> Values:
    """Sizes such as 3x3 as one number, where all uses allow it; else as one for each axis in all of them."""
    sizes = [
        value
        for value in values.values()
        if isinstance(value, tuple) and value and all(type(size) is int for size in value)
    ]
    if not sizes or not all(type(value) is int or value in sizes for value in values.values()):
        return values
    if all(len(set(size)) == 1 for size in sizes):
        return {i: value[0] if isinstance(value, tuple) else value for i, value in values.items()}
    rank = len(sizes[0])
    return {i: value if isinstance(value, tuple) else (value,) * rank for i, value in values.items()}


def _equal(has: Values, values: Values) -> bool:
    return all(
        (type(has[i]) is type(value) or (isinstance(value, Sizes) and isinstance(has[i], tuple))) and has[i] == value
        for i, value in values.items()
    )
