"""Random specs: blocks with parameters, options, loops and rebound names, used many times."""

from __future__ import annotations

import random


class RandomSpec:
    """One spec; the same seed gives the same text."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.labels = 0
        self.blocks: list[tuple[int, list[str], bool]] = []
        """Of each block: how many numbers it takes, its flags, and whether it takes a depth."""

    def text(self) -> str:
        definitions = [self.block(number) for number in range(self.random.randint(1, 3))]
        return "\n".join([*definitions, *self.model()])

    def model(self) -> list[str]:
        lines = ["model M(classes = 4, width = 6) {", "    input x: 4x8x8"]
        for use in range(self.random.randint(2, 6)):
            number = self.random.randrange(len(self.blocks))
            count, flags, deep = self.blocks[number]
            arguments = [str(self.random.choice([2, 4, 6, 8, "width"])) for _ in range(count)]
            arguments += [f"{flag} = true" for flag in flags if self.chance(0.5)]
            if deep and self.chance(0.7):
                arguments.append(f"depth = {self.random.randint(0, 5)}")
            lines.append(f"    x = x -> use{use}: B{number}({', '.join(arguments)})")
        return [*lines, "    output y = x -> conv(classes, 1x1)", "}"]

    def block(self, number: int) -> str:
        parameters = [f"p{i}" for i in range(self.random.randint(1, 3))]
        flags = [f"f{i}" for i in range(self.random.randint(0, 2))]
        deep = self.chance(0.4)
        head = ", ".join([*parameters, *(f"{flag} = false" for flag in flags), *(["depth = 2"] if deep else [])])
        lines = [f"block B{number}({head}) {{", "    input x"]
        names = ["x"]
        for _ in range(self.random.randint(2, 5)):
            lines += self.statement(parameters, flags, deep, names, "")
        self.blocks.append((len(parameters), flags, deep))
        return "\n".join([*lines, f"    output {self.random.choice(names)}", "}"])

    def statement(
        self, parameters: list[str], flags: list[str], deep: bool, names: list[str], loop: str, indent: int = 1
    ) -> list[str]:
        pad = "    " * indent
        taken, given = self.random.choice(names), self.random.choice(["x", "y", "z", *names])
        inside = [self.statement(parameters, flags, deep, names, loop, 3) for _ in range(2)] if indent < 3 else []
        kind = self.random.random()
        tests = [*flags, *([f"{loop} > 0", f"{loop} % 2 == 0"] if loop else [])]
        if kind < 0.15 and tests and inside:
            other = [f"{pad}}} else {{", *inside[1]] if self.chance(0.5) else []
            return [f"{pad}if {self.random.choice(tests)} {{", *inside[0], *other, f"{pad}}}"]
        if kind < 0.3 and inside:
            counter = f"i{self.label()}"
            count = "depth" if deep else self.random.randint(1, 5)
            if loop and self.chance(0.5):
                count = f"{loop} + 1"
            body = self.statement(parameters, flags, deep, names, counter, indent + 1)
            return [f"{pad}for {counter} in range({count}) {{", *body, f"{pad}}}"]
        if kind < 0.45:
            line = f"{given} = concat({taken}, {self.random.choice(names)})"
        elif kind < 0.5:
            line = f"{taken} = {taken} + {taken}"
        elif kind < 0.6 and any(self.blocks):
            number = self.random.randrange(len(self.blocks))
            arguments = ", ".join(self.number(parameters) for _ in range(self.blocks[number][0]))
            line = f"{given} = {taken} -> {self.named('b', loop)}B{number}({arguments})"
        else:
            chain = " -> ".join(self.layer(parameters, loop) for _ in range(self.random.randint(1, 3)))
            line = f"{given} = {taken} -> {chain}"
        if indent == 1 and line.startswith(f"{given} ") and given not in names:
            names.append(given)
        return [pad + line]

    def layer(self, parameters: list[str], loop: str) -> str:
        name = self.named("l", loop) if self.chance(0.4) else ""
        if self.chance(0.1):
            inner = " -> ".join(self.layer(parameters, "") for _ in range(self.random.randint(1, 3)))
            return f"{name}{{ {inner} }}"
        if self.chance(0.5):
            return f"{name}conv({self.number(parameters)}, {self.random.choice(['1x1', '3x3'])}, pad = same)"
        return name + self.random.choice(
            ["relu", "tanh", "batch_norm", "layer_norm", "leaky_relu(0.1)", "leaky_relu(0.2)", "dropout(0.5)"]
        )

    def number(self, parameters: list[str]) -> str:
        one = self.random.choice(parameters)
        return self.random.choice(
            ["2", "4", "6", one, one, one, f"{one} * 2", f"{one} + 2", f"{one} // 2 + 1", "x.channels"]
        )

    def named(self, kind: str, loop: str) -> str:
        return f"{kind}{self.label()}{f'_{{{loop}}}' if loop else ''}: "

    def label(self) -> int:
        self.labels += 1
        return self.labels

    def chance(self, of: float) -> bool:
        return self.random.random() < of
