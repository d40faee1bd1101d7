"""Numbers that differ between the uses of a definition, explained by its parameters and the spec's names.

In this order: a parameter of the spec's block, a name that the block binds, a simple expression of these (a product, a
quotient, a comparison), or else a parameter of its own.  Every expression is checked against every use.
"""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from cnnspec.codegen.alignment import Body, Differ
from cnnspec.codegen.emission import Maker, Sizes
from cnnspec.codegen.naming import safe
from cnnspec.codegen.pieces import Piece
from cnnspec.codegen.source import Bound, Source, before, inside
from cnnspec.codegen.translation import Translated, Translator, Untranslatable, text, word
from cnnspec.diagnostics import Span
from cnnspec.graph import Plain
from cnnspec.shapes import Dims
from cnnspec.syntax import tree

Values = dict[int, Any]
"""A value for each context of a body."""
MOST_PICKS = 4
"""Values of one name of which the channels may be meant."""
MOST_EACH = 4
"""Layers of one name in each turn of a loop."""
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
        source: Source,
        around: Sequence[Mapping[str, Plain]],
        base: tree.Definition | None = None,
    ) -> None:
        """``channels`` are varying channels of inputs with wished names, ``carried`` is given for the model.

        ``around`` has for each use of a group the names that its body sees of the body around it, and for each model
        that derives from ``base`` the arguments that this has.  Then nothing is said that the spec's words do not say.
        """
        self.base = base
        self.uses = uses
        self.source = source
        self.sized: set[str] = set()
        """The parameters of the spec's block that are sizes in some use: 3x3, which a number can stand for."""
        self.parameter_names: dict[str, str] = {}
        """What the parameters of the spec's block are called."""
        self.channel_names: dict[str, Translated] = {}
        """The channels of the spec's inputs."""
        self.ranks: dict[str, int] = {}
        """Those of the spec's inputs that are of one in all uses: a definition is made for it."""
        self.value_channels: dict[tuple[int, int], Translated] = {}
        """The channels of values, by use and value."""
        self.carried: dict[str, dict[tuple[int, int], Any]] = {}
        """Numbers that loops take from turn to turn, by the loop's body and the context."""
        self.asked: Span | None = None
        """The expression of the spec that is being explained."""
        self.stand_ins: dict[str, Span | None] = {}
        """The parameters that the spec does not have, with what it has in their place."""
        self.searched = False
        """Whether something is said by what has the same values, since the spec's own words could not be."""
        self.carried_used: set[str] = set()
        """Those that something reads."""
        self.translated_tests: list[Translated] = []
        """The conditions so far."""
        self.turn_names: dict[tuple[Span, str], str] = {}
        """The variables of the loops that are being planned, by the loop's place and the spec's name."""
        self.accumulated: dict[tuple[Span, str], tuple[str, Bound]] = {}
        """Names that the spec's loops take from turn to turn, by the loop's place, with what changes them there."""
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
        self.turns_counted: list[tuple[str, Values]] = []
        """Parameters that are the number of turns of a loop before, and these numbers."""
        self.counters: set[str] = set()
        """The variables of loops."""
        self.open_loops: list[str] = []
        """Those of the loops that are being planned."""
        scopes = [piece.scope for _, piece in uses]
        if all(scope is not None for scope in scopes):
            known = [scope for scope in scopes if scope is not None]
            if carried is not None:
                for name in carried:
                    own = self.parameter_names[name] = self.fresh(safe(name))
                    self.arguments[own] = {i: s.arguments[name] for i, s in enumerate(known)}
                for name, values in self._plain(around):
                    # What no use changes is no parameter: nothing would tell where it has to stand.
                    if len({repr(value) for value in values.values()}) > 1:
                        own = self.parameter_names[name] = self.fresh(safe(name))
                        self.arguments[own] = values
            elif known[0].definition:
                for name, values in self._plain([scope.arguments for scope in known]):
                    own = self.parameter_names[name] = self.fresh(safe(name))
                    self.arguments[own] = values
                    self.used[own] = values
            else:
                for name, values in self._plain(around):
                    own = self.parameter_names[name] = self.fresh(safe(name))
                    self.arguments[own] = values
            if carried is None:
                counters = {name for _, piece in uses for name in _loop_variables(piece.body)}
                for name, values in self._varying([scope.names for scope in known]):
                    if name in counters:
                        continue
                    self.spec_locals[self.fresh(safe(name))] = values
        for name, values in channels:
            self.implicit[self.fresh(name)] = values

    def _plain(self, named: Sequence[Mapping[str, Any]]) -> list[tuple[str, Values]]:
        """The parameters that are plain in every use."""
        self.sized |= {
            name for name in (named[0] if named else ()) if any(isinstance(v.get(name), Dims) for v in named)
        }
        return [
            (name, _compact({i: one[name] for i, one in enumerate(named)}))
            for name in (named[0] if named else ())
            if all(name in one for one in named)
        ]

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
        defined = {one for name in self.defined for one in name.split(", ")}
        return {*self.arguments, *self.implicit, *self.spec_locals, *self.used, *defined, *self.counters}

    def fresh(self, wish: str) -> str:
        """A name like this one that means nothing yet."""
        name, number = wish, 2
        while name in self.all or name in self.reserved or name in self.carried:
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

    def means_another(self, name: str) -> bool:
        """Whether a name cannot be that of a local one."""
        return name in {*self.arguments, *self.implicit, *self.used, *self.counters, *self.reserved}

    def use(self, name: str) -> str:
        self.used[name] = {**self.arguments, **self.implicit, **self.used}[name]
        return name

    def candidates(self) -> dict[str, Values]:
        """What a value may be by search: only what differs between uses tells anything."""
        known = {**self.arguments, **self.implicit, **self.used}
        return {name: has for name, has in known.items() if len({(type(v), v) for v in has.values()}) > 1}

    # -- translation

    def translate(self, sources: Iterable[Span | Translated], values: Values, body: Body) -> str | None:
        """The text of the first of some expressions of the spec that has these values in every context."""
        for one in sources:
            for pick in range(MOST_PICKS):
                translator = _BodyTranslator(self, pick)
                try:
                    made = translator.run(one)
                except Untranslatable:
                    break
                if self._holds(made, values, body):
                    if any(isinstance(value, tuple) and not isinstance(value, Sizes) for value in values.values()):
                        self.tuples |= made.names & self.arguments.keys()
                    return self.commit(made)
                if not translator.picked:
                    break
        return None

    def translate_string(self, parts: tuple[str | tree.Expression, ...], values: Values, body: Body) -> str | None:
        """The inside of an f-string that has these values, in which the spec's expressions stand."""
        translator = _BodyTranslator(self, 0)
        try:
            made = Translated(translator.string(parts), translator.locals)
        except Untranslatable:
            return None
        return self.commit(made)[2:-1] if self._holds(made, values, body) else None

    def translations(self, sources: Iterable[Span]) -> list[Translated]:
        """What some expressions of the spec are here, as far as that can be said."""
        found = []
        for span in sources:
            try:
                found.append(_BodyTranslator(self, 0).run(span))
            except Untranslatable:
                continue
        return found

    def either(self, options: Sequence[Translated], values: Values, body: Body) -> Translated | None:
        """Channels that an earlier condition decides: a local name for one expression or another."""
        for test in self.translated_tests:
            for one, other in itertools.permutations(options, 2):
                both = ast.IfExp(test.expression, one.expression, other.expression)
                made = Translated(both, test.locals | one.locals | other.locals)
                if self._holds(made, values, body):
                    written = text(both)
                    name = next((name for name, known in self.defined.items() if known == written), None)
                    name = name or self.fresh("channels")
                    self.commit(made)
                    self.defined[name] = written
                    return Translated(ast.Name(name), made.locals | {name: both})
        return None

    def channels(self, options: Iterable[Translated], values: Values, body: Body) -> Translated | None:
        """The first of some expressions that has these values in every context; nothing is made of it yet."""
        return next((one for one in options if self._holds(one, values, body)), None)

    def channels_bound(self, name: str) -> list[Translated]:
        """The channels of the values that a body binds to a name, one after another."""
        found: dict[str, Translated] = {}
        bound = [
            [value for text, value in piece.scope.bindings if text == name] if piece.scope is not None else []
            for _, piece in self.uses
        ]
        for place in range(min(map(len, bound))):
            options = [self.value_channels.get((use, values[place])) for use, values in enumerate(bound)]
            known = {one.text: one for one in options if one is not None}
            if len(known) == 1 and None not in options:
                found |= known
        return list(found.values())

    def _holds(self, made: Translated, values: Values, body: Body) -> bool:
        names = made.names
        for context, value in values.items():
            try:
                found = made.evaluate(self.environment(context, body, names))
            except (NameError, TypeError, ValueError, ArithmeticError, IndexError):
                return False
            if not same(found, value):
                return False
        return True

    def environment(self, context: int, body: Body, names: Container[str] | None = None) -> dict[str, Any]:
        """The values of the constructor's names, or of some of them, in a context of one of its bodies."""
        turns: dict[str, Any] = {}
        while True:
            for name, has in self.carried.items():
                if (id(body), context) in has:
                    turns.setdefault(name, has[id(body), context])
            if body.outer is None:
                break
            if body.turn is not None and body.loop is not None:
                for (span, name), own in self.turn_names.items():
                    if span == body.loop and context in body.variables and name in body.variables[context]:
                        turns.setdefault(own, body.variables[context][name])
                if body.variable:
                    turns.setdefault(body.variable, body.turn[context] + body.first)
            context, body = body.parent[context], body.outer
        known = {
            name: has[context]
            for some in (self.arguments, self.implicit)
            for name, has in some.items()
            if context in has and (names is None or name in names)
        }
        return known | turns

    def turn_variables(self, loop: tree.For) -> dict[str, str]:
        """What the names of a loop of the spec are called here."""
        variables: dict[str, str] = {}
        for name in loop.names:
            variables[name.text] = self.local(safe(name.text), variables.values())
        return variables

    def iterable(self, loop: tree.For, turns: Mapping[int, list[dict[str, Plain]]], body: Body) -> str | None:
        """The text of what a loop of the spec runs over, if its names then are what they are in every turn."""
        proposals = self.translations([loop.iterable.span])
        if not proposals:
            return None
        made = proposals[0]
        for context, some in turns.items():
            try:
                items = list(made.evaluate(self.environment(context, body)))
                found = [_unpacked(loop.targets, item) for item in items]
            except (NameError, TypeError, ValueError, ArithmeticError, IndexError):
                return None
            if len(found) != len(some):
                return None
            for one, known in zip(found, some, strict=True):
                if any(not same(one[name], value) for name, value in known.items()):
                    return None
        return self.commit(made)

    @contextmanager
    def turns(self, loop: tree.For, variables: Mapping[str, str]) -> Iterator[None]:
        """Within, the names of a loop of the spec mean something."""
        self.counters |= set(variables.values())
        self.open_loops += variables.values()
        self.turn_names |= {(loop.span, name): own for name, own in variables.items()}
        try:
            yield
        finally:
            for name in variables:
                del self.turn_names[loop.span, name]
                self.open_loops.pop()

    @contextmanager
    def turns_again(self, turn_names: Mapping[tuple[Span, str], str]) -> Iterator[None]:
        """Within, the names of loops mean what they did, when ``turn_names`` was taken."""
        others, self.turn_names = self.turn_names, dict(turn_names)
        self.open_loops += turn_names.values()
        try:
            yield
        finally:
            self.turn_names = others
            del self.open_loops[len(self.open_loops) - len(turn_names) :]

    def local(self, wish: str, others: Iterable[str] = ()) -> str:
        """A name like this one for something of the constructor's, which may be the spec's own name for it."""
        taken = {*self.all, *self.reserved} - (self.spec_locals.keys() | self.counters)
        return _unlike(wish, {*taken, *self.carried, *self.open_loops, *others})

    def value_before(self, name: str, loop: tree.For) -> Translated | None:
        """What a name is as a loop begins."""
        translator = _BodyTranslator(self, 0)
        try:
            made = translator.name(tree.Name(loop.iterable.span, name))
        except Untranslatable:
            return None
        return Translated(made, translator.locals)

    def commit(self, made: Translated) -> str:
        """The text of an expression that is going to be written."""
        for name, expression in made.locals.items():
            self.defined[name] = text(expression)
        for name in made.names:
            if name in self.arguments or name in self.implicit:
                self.use(name)
            if name in self.carried:
                self.carried_used.add(name)
        return made.text

    def given(self, values: Values) -> str | None:
        """The parameter that has these values, if there is one."""
        if self.base is not None:
            return None
        for name, has in self.candidates().items():
            if values and _equal(has, values):
                return self._as_given(name, values)
        return None

    def _as_given(self, name: str, values: Values) -> str:
        if any(isinstance(value, tuple) and not isinstance(value, Sizes) for value in values.values()):
            self.tuples.add(name)
        return self.use(name)

    def explain(self, values: Values, hint: str) -> str:
        """The text of an expression with these values."""
        if any(isinstance(value, Maker) for value in values.values()):
            return self._layer(values, hint)
        for name, e in self.stand_ins.items():
            if e is not None and e == self.asked and _equal(self.used[name], values):
                return name
        if hint == POSITION and (self.base is not None or not self.model):
            counted = self._by_test(values) or self._after_options(values) or self._after_loop(values)
            if counted is not None:
                return counted
        if self.base is not None:
            raise Differ("what the spec's words alone do not explain")
        made = self._search(values, hint)
        if made is None:
            return self._new(values, hint)
        self.searched = True
        return made

    def _search(self, values: Values, hint: str) -> str | None:
        """What has these values, or could be computed from what it has, in all uses: right for these uses."""
        if all(isinstance(value, bool) for value in values.values()):
            return self._condition(values)
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
        return self._expression(values) or self._by_test(values)

    def layer(self, values: Values, parameter: str) -> str:
        """The parameter of the spec's block that takes a layer, with what it is in uses that apply it."""
        name = self.parameter_names.get(parameter)
        if name is None:
            known = {one.name.text for one in self.base.parameters} if self.base is not None else set()
            make = self._added if parameter in known else self._new
            name = self.parameter_names[parameter] = make(values, parameter)
            self.layers[name] = dict(values)
        applied = self.layers[name]
        if any(applied.get(i, maker) != maker for i, maker in values.items()):
            raise Differ("a layer that is made in several ways in one use")
        applied |= values
        self.used[name] |= values
        return name

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

    def _after_loop(self, values: Values) -> str | None:
        """A position after a loop, each turn of which has some of the layers that are counted."""
        for name, turns in self.turns_counted:
            for each in range(1, MOST_EACH + 1):
                bases = {value - each * turns[i] for i, value in values.items() if i in turns}
                if values.keys() <= turns.keys() and len(bases) == 1 and (base := bases.pop()) >= 0:
                    product = name if each == 1 else f"{each} * {name}"
                    return f"{product} + {base}" if base else product
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
        return self._added(values, hint)

    def _added(self, values: Values, hint: str) -> str:
        name = self.fresh(safe(hint))
        self.stand_ins[name] = self.asked
        (common, _), *_ = Counter(values.values()).most_common(1)
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

    def _condition(self, values: Values) -> str | None:
        if self.asked is not None and not self.model:
            return None  # The spec's words need what no argument says: one of their own is right for every use.
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
        return self._predicate(values)

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


class _BodyTranslator(Translator):
    """Translates expressions of one body."""

    def __init__(self, names: Names, pick: int) -> None:
        super().__init__()
        self.names = names
        self.pick = pick
        self.picked = False
        """Whether there was a choice."""

    def run(self, one: Span | Translated) -> Translated:
        if isinstance(one, Translated):
            return one
        e = self.names.source.expressions.get(one)
        if e is None:
            raise Untranslatable("no expression")
        expression = self.translate(e)
        return Translated(expression, self.locals)

    def _reaching(self, e: tree.Name) -> Bound | None:
        """What gave a name its value; None where that is a parameter, or nothing."""
        source = self.names.source
        definition = source.around(e.span)
        if definition is None:
            raise Untranslatable(e.text)
        known = source.bound(definition).get(e.text, [])
        ahead = [one for one in known if self._ahead(one, e)]
        last = ahead[-1] if ahead else None
        if last is not None and not last.always_before(e.span):
            raise Untranslatable(f"{e.text} has several values")
        for one in known:
            around = {span for span in one.loops if inside(e.span, span)}
            if one not in ahead and around and (last is None or not around <= {*last.loops}):
                raise Untranslatable(f"{e.text} changes from turn to turn")
        return last

    @staticmethod
    def _ahead(one: Bound, e: tree.Name) -> bool:
        """Whether a statement can have given a name its value before that is read, or at least in the turn before."""
        statement = one.statement
        own = inside(e.span, statement.iterable.span if isinstance(statement, tree.For) else statement.span)
        return before(statement.span, e.span) and not own and not any(inside(e.span, side) for side in one.instead)

    def _taken_on(self, e: tree.Name) -> str | None:
        """The name's own name where a loop of the code takes it from turn to turn, in that loop or behind it."""
        for (loop, name), (own, bound) in reversed(self.names.accumulated.items()):
            if name != e.text:
                continue
            change = bound.statement.span
            if inside(e.span, loop):
                return own if before(e.span, change) or inside(e.span, change) else None
            around = bound.within[:-1]
            if before(loop, e.span) and all(inside(e.span, one) for one in around):
                definition = self.names.source.around(e.span)
                known = self.names.source.bound(definition)[name] if definition is not None else []
                later = [one for one in known if before(change, one.statement.span)]
                return own if not any(before(one.statement.span, e.span) for one in later) else None
        return None

    def _summed(self, e: tree.Name) -> ast.expr | None:
        """A name to which each turn of a loop before has added something, where the loop makes no layers."""
        source = self.names.source
        definition = source.around(e.span)
        known = source.bound(definition).get(e.text, []) if definition is not None else []
        ahead = [one for one in known if self._ahead(one, e)]
        if not ahead or not ahead[-1].loops or inside(e.span, ahead[-1].loops[-1]):
            return None
        last = ahead[-1]
        loop = source.regions[last.loops[-1]]
        change = last.statement
        if (
            last not in list(source.accumulated(loop))
            or not all(inside(e.span, one) for one in last.within[:-1])
            or not isinstance(change, tree.Binding)
            or not isinstance(change.value, tree.Binary)
            or change.value.operator != "+"
            or not (isinstance(change.value.left, tree.Name) and change.value.left.text == e.text)
        ):
            return None
        first = self.name(tree.Name(loop.iterable.span, e.text))
        iterable = self.translate(loop.iterable)
        # What the loop's names are called hides what else is called so.
        apart = {name.text: f"_{name.text}_" for name in loop.names}
        seen = Translated(self._in_turns(loop, apart, change.value.right)).names
        own = {name.text: _unlike(safe(name.text), seen) for name in loop.names}
        each = self._in_turns(loop, own, change.value.right)
        targets: list[ast.expr] = [
            ast.Tuple([ast.Name(own[name.text]) for name in one.names])
            if isinstance(one, tree.Names)
            else ast.Name(own[one.text])
            for one in loop.targets
        ]
        target = targets[0] if len(targets) == 1 else ast.Tuple(targets)
        turns = ast.GeneratorExp(each, [ast.comprehension(target, iterable, [], 0)])
        alone = isinstance(each, ast.Name) and isinstance(target, ast.Name) and each.id == target.id
        total: ast.expr = ast.Call(ast.Name("sum"), [iterable if alone else turns], [])
        if not (isinstance(first, ast.Constant) and first.value == 0):
            total = ast.BinOp(first, ast.Add(), total)
        name = safe(e.text)
        written = text(total)
        if (
            self.names.defined.get(name, written) == written
            and not _turns(total, self.names)
            and not self.names.means_another(name)
        ):
            self.locals[name] = total
            return ast.Name(name)
        return total

    def _in_turns(self, loop: tree.For, variables: Mapping[str, str], e: tree.Expression) -> ast.expr:
        """An expression where a loop's names have these names."""
        others = self.names.turn_names
        self.names.turn_names = others | {(loop.span, name): own for name, own in variables.items()}
        try:
            return self.translate(e)
        finally:
            self.names.turn_names = others

    @override
    def name(self, e: tree.Name) -> ast.expr:
        own = self._taken_on(e)
        if own is not None:
            return ast.Name(own)
        summed = self._summed(e)
        if summed is not None:
            return summed
        bound = self._reaching(e)
        if bound is None:
            own = self.names.parameter_names.get(e.text)
            if own is not None:
                return ast.Name(own)
            found = word(e.text)
            if found is None:
                raise Untranslatable(e.text)
            return found
        if isinstance(bound.statement, tree.For):
            own = self.names.turn_names.get((bound.statement.span, e.text))
            if own is None:
                raise Untranslatable(e.text)
            return ast.Name(own)
        if not isinstance(bound.statement, tree.Binding):
            raise Untranslatable(e.text)
        targets = [target.text for target in bound.statement.targets]
        value = self.translate(bound.statement.value)
        definition = self.names.source.around(e.span)
        assert definition is not None
        known = self.names.source.bound(definition)
        written = text(value)
        local = ", ".join(map(safe, targets))
        named = (
            all(len(known[target]) == 1 for target in targets)
            and not (len(targets) == 1 and isinstance(value, ast.Name | ast.Constant))
            and not _turns(value, self.names)
            and self.names.defined.get(local, written) == written
            and not any(self.names.means_another(safe(target)) for target in targets)
        )
        if named:
            self.locals[local] = value
            return ast.Name(safe(e.text))
        return value if len(targets) == 1 else ast.Subscript(value, ast.Constant(targets.index(e.text)))

    @override
    def attribute(self, e: tree.Attribute) -> ast.expr:
        if e.name.text not in ("channels", "rank") or not isinstance(e.value, tree.Name):
            raise Untranslatable(e.name.text)
        bound = self._reaching(e.value)
        if e.name.text == "rank":
            rank = self.names.ranks.get(e.value.text)
            if rank is None or bound is None or not isinstance(bound.statement, tree.Input):
                raise Untranslatable("rank")
            return ast.Constant(rank)
        if bound is not None and isinstance(bound.statement, tree.Input):
            found = self.names.channel_names.get(e.value.text)
            if found is None:
                raise Untranslatable(e.value.text)
            return self._taken(found)
        options = self.names.channels_bound(e.value.text)
        self.picked = len(options) > self.pick + 1
        if self.pick >= len(options):
            raise Untranslatable(e.value.text)
        return self._taken(options[self.pick])

    def _taken(self, one: Translated) -> ast.expr:
        self.locals |= one.locals
        return one.expression


def _unpacked(targets: Sequence[tree.Name | tree.Names], item: Any) -> dict[str, Any]:
    """What an item of a loop gives its names."""
    found: dict[str, Any] = {}
    for target, one in zip(targets, item if len(targets) > 1 else [item], strict=True):
        if isinstance(target, tree.Names):
            found |= zip((name.text for name in target.names), one, strict=True)
        else:
            found[target.text] = one
    return found


def _unlike(wish: str, taken: Container[str]) -> str:
    """A name like this one that is not taken."""
    name, number = wish, 2
    while name in taken:
        name = f"{wish}_{number}"
        number += 1
    return name


def _turns(expression: ast.expr, names: Names) -> bool:
    """Whether an expression has the variable of a loop in it."""
    return not Translated(expression).names.isdisjoint({*names.turn_names.values(), *names.open_loops})


def same(found: Any, value: Any) -> bool:
    """Whether what an expression gives is a value of the graph, where lists are tuples."""
    if isinstance(found, list):
        found = tuple(found)
    if isinstance(value, Sizes):
        return (tuple(value) if isinstance(found, tuple) else next(iter(set(value)))) == found and (
            isinstance(found, tuple) or len(set(value)) == 1
        )
    if isinstance(value, float) and type(found) is int:
        return False
    return type(found) is type(value) and bool(found == value)


def _loop_variables(body: Iterable[Piece]) -> Iterator[str]:
    for piece in body:
        for variables, turn in zip(piece.variables, piece.turns, strict=False):
            yield from variables
            yield from _loop_variables(turn)
        if piece.kind == "branch":
            yield from _loop_variables(piece.body)


def _compact(values: Values) -> Values:
    """Sizes such as 3x3 as one number, where all uses allow it; else as one for each axis in all of them."""
    sizes = [value for value in values.values() if isinstance(value, Dims) and value]
    if not sizes or not all(type(value) is int or isinstance(value, Dims) for value in values.values()):
        return values
    if all(len(set(size)) == 1 for size in sizes):
        return {i: value[0] if isinstance(value, Dims) else value for i, value in values.items()}
    rank = len(sizes[0])
    return {i: tuple(value) if isinstance(value, Dims) else (value,) * rank for i, value in values.items()}


def _equal(has: Values, values: Values) -> bool:
    return all(
        (type(has[i]) is type(value) or (isinstance(value, Sizes) and isinstance(has[i], tuple))) and has[i] == value
        for i, value in values.items()
    )
