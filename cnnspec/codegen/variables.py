"""The variables of a generated forward pass: which values share one, and what each is called."""

from __future__ import annotations

import itertools
from functools import cached_property

from typing_extensions import override

from cnnspec.codegen.alignment import Body, Differ, Slot
from cnnspec.codegen.naming import safe
from cnnspec.codegen.pieces import Piece
from cnnspec.codegen.program import Step

MOST_IMPROVEMENTS = 100
"""Variables of one routine for which a better name is tried: each trial runs through all uses."""


class Flow:
    """Gives the values of a routine their variables.

    Values that one place reads in different uses share a variable.  Names are the spec's own where it gave one; a
    variable is used again once what it held is no longer needed.
    """

    def __init__(self, body: Body, uses: list[tuple[int, Piece]], input_names: list[str]) -> None:
        self.uses = uses
        self.input_names = input_names
        self.position = 0
        self.loops: list[tuple[int, int]] = []
        self.root: dict[int, int] = {}
        self.choices: list[tuple[Step, int]] = []
        self.opened: tuple[int, ...] = ()
        self.inside: dict[int, tuple[int, ...]] = {}
        self.copies: dict[tuple[int, int], int] = {}
        self.begun: dict[int, int] = {}
        self.beginnings: list[tuple[str, str]] = []
        self.is_model = uses[0][1].path == ""
        self.taken: set[str] = set()
        self.choice_of: dict[int, Step] = {}
        self.makers: dict[tuple[int, int], list[int]] = {}
        self.defined_at: dict[int, list[int]] = {}
        self.read_at: dict[int, list[int]] = {}
        self.by_step: dict[int, tuple[Step, list[int], list[int], int]] = {}
        self.pending: list[tuple[Step, list[list[tuple[int, int]]], list[int | list[tuple[int, int]]], int]] = []
        for position in range(len(input_names)):
            definition = self._new(0)
            for use, (_, piece) in enumerate(uses):
                self.makers.setdefault((use, piece.inputs[position]), []).append(definition)
        self.body = body
        self.step_of: dict[int, Step] = {}
        self.renames: dict[tuple[int, int], list[tuple[Step, dict[int, int]]]] = {}
        """For the sides of choices: the steps at their ends that rename values, with the value in each context."""
        self.latest = False
        """Whether a value is read by the last name that it was given, rather than by the first."""

    def _new(self, position: int) -> int:
        number = len(self.root)
        self.root[number] = number
        self.inside[number] = self.opened
        self.defined_at[number] = [position]
        self.read_at[number] = []
        return number

    def find(self, number: int) -> int:
        while self.root[number] != number:
            number = self.root[number]
        return number

    def _union(self, one: int, other: int) -> int:
        a, b = sorted((self.find(one), self.find(other)))
        if a != b:
            self.root[b] = a
        return a

    def _read(self, slot_values: list[tuple[int, int]], copying: bool) -> int:
        """The definition that is read where each use reads one of these values, in (graph, value) pairs."""
        options = [self.makers[key] for key in slot_values]
        common = [d for d in options[0] if all(d in other for other in options[1:])]
        if common:
            return common[0]
        definitions = sorted({option[-1 if self.latest else 0] for option in options})
        if copying:
            definitions = self._with_copies(definitions)
        if self.is_model:
            definitions = sorted(self._begun(d) if d < len(self.input_names) else d for d in definitions)
        for other in definitions[1:]:
            self._union(definitions[0], other)
        return definitions[0]

    def _begun(self, given: int) -> int:
        """The copy of a model's input that changes: the input itself is asked for at the end (Keras), and stays."""
        if given not in self.begun:
            self.begun[given] = self._new(0)
            self.inside[self.begun[given]] = ()
            self.read_at[given].append(0)
        return self.begun[given]

    def _with_copies(self, definitions: list[int]) -> list[int]:
        """Definitions of which some stand before a choice and some in it: the former as copies made at the choice."""
        shared = min(len(self.inside[d]) for d in definitions)
        choices = sorted(self.inside[d][shared] for d in definitions if len(self.inside[d]) > shared)
        if not choices:
            return definitions
        choice = choices[0]
        found = []
        for d in definitions:
            if len(self.inside[d]) > shared or self.defined_at[d][0] > self.choices[choice][1]:
                found.append(d)
                continue
            if (choice, d) not in self.copies:
                copy = self._new(self.choices[choice][1])
                self.inside[copy] = self.inside[d]
                self.copies[choice, d] = copy
                self.read_at[d].append(self.choices[choice][1])
            found.append(self.copies[choice, d])
        return found

    def open(self, step: Step, slot: Slot) -> None:
        """Enter a choice."""
        self.position += 1
        self.opened = (*self.opened, len(self.choices))
        self.choices.append((step, self.position))
        self.choice_of[id(slot)] = step

    def close(self) -> None:
        self.opened = self.opened[:-1]

    def connect(self, step: Step, slot: Slot) -> None:
        self.position += 1
        some = next(iter(slot.pieces.values()))
        use_of = {c: self._use(slot, c) for c in slot.pieces}
        self.step_of[id(slot)] = step
        reads = [
            [(use_of[c], piece.inputs[position]) for c, piece in slot.pieces.items()]
            for position in range(len(some.inputs))
        ]
        writes: list[int | list[tuple[int, int]]] = []
        for position, output in enumerate(some.outputs):
            keys = [(use_of[c], piece.outputs[position]) for c, piece in slot.pieces.items()]
            if output in some.inputs:
                writes.append(keys)
                continue
            definition = self._new(self.position)
            for key in keys:
                self.makers.setdefault(key, []).append(definition)
            writes.append(definition)
        # What a loop carries is read before the place that makes it has been met, so reads are resolved at the end.
        self.pending.append((step, reads, writes, self.position))

    def rename(self, step: Step, slot: Slot, side: int, values: dict[int, int]) -> None:
        """Give a value, which may be another in each context, one more variable."""
        self.position += 1
        keys = [(self._use(slot, context), value) for context, value in values.items()]
        definition = self._new(self.position)
        for key in keys:
            self.makers.setdefault(key, []).append(definition)
        self.pending.append((step, [keys], [definition], self.position))
        self.renames.setdefault((id(slot), side), []).append((step, values))

    def _use(self, slot: Slot, context: int) -> int:
        return self.use_of(self.home[id(slot)], context)

    @staticmethod
    def use_of(body: Body, context: int) -> int:
        """The use of the routine that a context of one of its bodies belongs to."""
        while body.outer is not None:
            context, body = body.parent[context], body.outer
        return context

    @cached_property
    def home(self) -> dict[int, Body]:
        """The body that each slot stands in."""
        found: dict[int, Body] = {}
        waiting = [self.body]
        while waiting:
            body = waiting.pop()
            for slot in body.slots:
                found[id(slot)] = body
                waiting += slot.bodies
        return found

    def results(self, taken: set[str]) -> list[str]:
        """Name every variable and write the names into the steps; returns the names of the routine's outputs.

        No variable gets a name that is ``taken``.  A variable that a choice changes is first tried without a copy of
        what it held, then with one.
        """
        self.taken = taken
        definitions = len(self.root)
        self.position += 1
        ways = [
            (copying, latest) for copying in (False, True) for latest in ([False, True] if self.renames else [False])
        ]
        for copying, latest in ways:
            self.latest = latest
            self.root = {number: number for number in range(definitions)}
            self.read_at = {number: [] for number in range(definitions)}
            self.begun.clear()
            self.copies.clear()
            try:
                return self._attempt(copying=copying)
            except Differ:
                if (copying, latest) == ways[-1]:
                    raise
        raise AssertionError("the last way returns or raises")

    def _attempt(self, *, copying: bool) -> list[str]:
        self.by_step.clear()
        for step, read_keys, write_keys, at in self.pending:
            reads = [self._read(keys, copying) for keys in read_keys]
            for definition in reads:
                self.read_at[definition].append(at)
            written = [key if isinstance(key, int) else self._read(key, copying) for key in write_keys]
            self.by_step[id(step)] = (step, reads, written, at)
        outputs = []
        for position in range(len(self.uses[0][1].outputs)):
            definition = self._read(
                [(use, piece.outputs[position]) for use, (_, piece) in enumerate(self.uses)], copying
            )
            self.read_at[definition].append(self.position)
            outputs.append(definition)
        names = self._name_all()
        self._settle(names, outputs)
        for key in reversed(self._inside_parts()[:MOST_IMPROVEMENTS]):
            names = self._with_better_name(names, key, outputs)
        results = self._settle(names, outputs)
        self._mark_feeds()
        self.input_names = [names[self.find(d)] for d in range(len(self.input_names))]
        return results

    def _settle(self, names: dict[int, str], outputs: list[int]) -> list[str]:
        """Write names into the steps, and see that every use then reads what it should; returns the outputs' names."""
        for step, reads, written, _ in self.by_step.values():
            step.inputs = [names[self.find(d)] for d in reads]
            step.outputs = [names[self.find(d)] for d in written]
        for step, _ in self.choices:
            step.copies = []
        for (choice, original), copy in self.copies.items():
            target, origin = names[self.find(copy)], names[self.find(original)]
            if target != origin:
                self.choices[choice][0].copies.append((target, origin))
        self.beginnings = [(names[self.find(copy)], names[self.find(given)]) for given, copy in self.begun.items()]
        input_names = [names[self.find(d)] for d in range(len(self.input_names))]
        results = [names[self.find(d)] for d in outputs]
        for use, (_, piece) in enumerate(self.uses):
            variables = dict(zip(input_names, piece.inputs, strict=True))
            for target, source in self.beginnings:
                variables[target] = variables[source]
            self._replay(self.body, use, variables)
            if [variables.get(name) for name in results] != list(piece.outputs):
                raise Differ("values that would meet in one variable")
        return results

    def _inside_parts(self) -> list[int]:
        """Variables that live inside a choice or a loop only, where more names are free than their positions tell."""
        inputs = {self.find(d) for d in range(len(self.input_names))}

        def inside(d: int) -> bool:
            return bool(self.inside[d]) or any(start < self.defined_at[d][0] <= stop for start, stop in self.loops)

        return [key for key, members in self._classes().items() if key not in inputs and all(map(inside, members))]

    def _with_better_name(self, names: dict[int, str], key: int, outputs: list[int]) -> dict[int, str]:
        """The names, where a variable has that of what it turns into, or of what it comes from, if that works."""
        steps = [
            (reads, written) for _, reads, written, _ in self.by_step.values() if len(reads) == 1 and len(written) == 1
        ]
        after = [self.find(written[0]) for reads, written in steps if self.find(reads[0]) == key]
        before = [self.find(reads[0]) for reads, written in steps if self.find(written[0]) == key]
        for other in (*after, *before):
            better = {**names, key: names[other]}
            try:
                self._settle(better, outputs)
            except Differ:
                continue
            return better
        return names

    def _replay(self, body: Body, context: int, variables: dict[str, int]) -> None:
        """Run one use in the variables that were chosen; raises `Differ` where a step would read another value."""
        for slot in body.slots:
            choice = self.choice_of.get(id(slot))
            if choice is not None:
                for target, source in choice.copies:
                    if source not in variables:
                        raise Differ("a variable that has no value yet")
                    variables[target] = variables[source]
            if slot.kind == "branch":
                side = slot.sides[context]
                self._replay(slot.bodies[side], context, variables)
                for rename, values in self.renames.get((id(slot), side), []):
                    if [variables.get(name) for name in rename.inputs] != [values[context]]:
                        raise Differ("values that would meet in one variable")
                    variables[rename.outputs[0]] = values[context]
                continue
            piece = slot.pieces.get(context)
            if piece is None:
                continue
            step = self.step_of.get(id(slot))
            if step is not None:
                if [variables.get(name) for name in step.inputs] != list(piece.inputs):
                    raise Differ("values that would meet in one variable")
                variables.update(zip(step.outputs, piece.outputs, strict=True))
                continue
            inner = slot.bodies[0]
            for turn in inner.contexts:
                if inner.parent[turn] == context:
                    self._replay(inner, turn, variables)

    def _classes(self) -> dict[int, list[int]]:
        classes: dict[int, list[int]] = {}
        for definition in self.root:
            classes.setdefault(self.find(definition), []).append(definition)
        return classes

    def _interval(self, members: list[int]) -> tuple[float, float]:
        """From where to where a variable holds something; what is not read stands beside the step's other results."""
        events = sorted(p for d in members for p in (*self.defined_at[d], *self.read_at[d]))
        first, last = events[0], max(events[-1], events[0] + 0.5)
        for start, stop in self.loops:
            inside = [p for p in events if start < p <= stop]
            if inside and (first <= start or last > stop or len(members) > 1):
                first, last = min(first, start + 1) if first > start else first, max(last, stop)
        return first, last

    def _name_all(self) -> dict[int, str]:
        bound: dict[int, str] = {}
        for use, (_, piece) in enumerate(self.uses):
            for name, value in piece.scope.bindings if piece.scope is not None else ():
                for definition in self.makers.get((use, value), [])[:1]:
                    bound.setdefault(self.find(definition), safe(name))
        classes = self._classes()
        intervals = {key: self._interval(members) for key, members in classes.items()}
        readers: dict[int, list[tuple[int, int]]] = {}
        source: dict[int, int] = {}
        labels: dict[int, str] = {}
        for step, reads, written, _ in self.by_step.values():
            if step.kind == "alias":
                continue
            own = step.label if step.named and step.label.isidentifier() else step.hint
            if not own and step.finisher and len(reads) == 1:
                own = labels.get(self.find(reads[0]), "")
            if own and len(written) == 1:
                labels.setdefault(self.find(written[0]), safe(own))
            for definition in reads:
                readers.setdefault(self.find(definition), []).append(
                    (len(reads), self.find(written[0]) if written else -1)
                )
            for definition in written:
                if len(reads) == 1:
                    source.setdefault(self.find(definition), self.find(reads[0]))
        copied = {self.find(copy): self.find(original) for (_, original), copy in self.copies.items()}
        copies = set(self.copies.values())
        # Up to the first change, a copy and its original hold the same.
        changed = {key: self._interval([d for d in classes[key] if d not in copies]) for key in copied}
        busy_until: dict[str, float] = {}
        names: dict[int, str] = {}

        def free(name: str, key: int) -> bool:
            first, _ = changed[key] if names.get(copied.get(key, -1)) == name else intervals[key]
            return name not in self.taken and first >= busy_until.get(name, 0)

        def take(name: str, key: int) -> None:
            names[key] = name
            busy_until[name] = max(intervals[key][1], busy_until.get(name, 0))

        wishes: dict[int, str | None] = dict(bound)

        def wish(key: int) -> str | None:
            """The spec's name of a value, or of what it turns into through steps that take nothing else."""
            seen = []
            while key not in wishes:
                seen.append(key)
                wishes[key] = None
                following = readers.get(key, [])
                if len(following) == 1 and following[0][0] == 1 and following[0][1] >= 0:
                    key = following[0][1]
            wishes.update(dict.fromkeys(seen, wishes[key]))
            return wishes[key]

        def role(key: int) -> str | None:
            """The label of a value that an operation takes beside others, and of what leads to it under that label."""
            label = labels.get(key)
            seen: set[int] = set()
            while label and key not in seen:
                seen.add(key)
                following = readers.get(key, [])
                if len(following) != 1:
                    return None
                if following[0][0] > 1:
                    return label
                key = following[0][1]
                if labels.get(key) != label:
                    return None
            return None

        for position, name in enumerate(self.input_names):
            key = self.find(position)
            if key in names:
                raise Differ("two inputs in one variable")
            take(name, key)
        if self.is_model:
            self.taken = self.taken | set(self.input_names)
        for key in sorted(classes, key=lambda k: intervals[k][0]):
            if key in names:
                continue
            given = (names.get(copied.get(key, -1)), wish(key), role(key), names.get(source.get(key, -1)))
            options = itertools.chain((*given, "x", labels.get(key), "y", "z"), (f"x{n}" for n in itertools.count(2)))
            take(next(name for name in options if name is not None and free(name, key)), key)
        return names

    def _mark_feeds(self) -> None:
        """Mark the steps whose single result goes to the very next step alone, in a variable of its own."""
        sizes = {key: len(members) for key, members in self._classes().items()}
        ordered = list(self.by_step.values())
        read = {self.find(d) for d, places in self.read_at.items() if places}
        for step, _, written, _ in ordered:
            step.used = any(self.find(d) in read for d in written)
        for (step, _, written, at), (_, reads, _, following) in itertools.pairwise(ordered):
            if len(written) == 1 and following == at + 1:
                key = self.find(written[0])
                step.feeds_next = (
                    sizes[key] == 1
                    and len(self.read_at[written[0]]) == 1
                    and self.read_at[written[0]][0] == following
                    and [self.find(r) for r in reads].count(key) == 1
                )


class Closed(Flow):
    """The inside of a group that values pass through whole: nothing there has a variable."""

    def __init__(self) -> None:
        self.position = 0
        self.loops = []

    @override
    def open(self, step: Step, slot: Slot) -> None:
        pass

    @override
    def close(self) -> None:
        pass

    @override
    def connect(self, step: Step, slot: Slot) -> None:
        pass
