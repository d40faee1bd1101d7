"""The formatter: canonical, idempotent, and it changes neither meaning nor comments."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnspec.diagnostics import Span, SpecError
from cnnspec.syntax.format import WIDTH, format_source
from cnnspec.syntax.parse import parse

SPECS = sorted((Path(__file__).parents[2] / "specs").rglob("*.cnn"))


def bare(node: Any) -> Any:
    """A tree without places."""
    if isinstance(node, tuple) and not isinstance(node, Span):
        return tuple(bare(each) for each in node)
    if dataclasses.is_dataclass(node):
        fields = [each.name for each in dataclasses.fields(node) if each.name != "span"]
        return (type(node).__name__, *(bare(getattr(node, name)) for name in fields))
    return node


def comments(text: str) -> list[str]:
    """The comments of a text, with one space after the sign; good enough where no string has a `#`."""
    found = re.findall(r"#.*", text)
    return sorted(re.sub(r"^#(?=\w)", "# ", comment).rstrip() for comment in found)


def check(text: str) -> str:
    """Formats, and makes sure of all that holds for any text."""
    out = format_source(text, "t.cnn")
    assert format_source(out, "t.cnn") == out, "formatting again changes it"
    assert bare(parse(out, "t.cnn")) == bare(parse(text, "t.cnn")), "it means something else"
    assert comments(out) == comments(text), "a comment is lost or changed"
    assert out == "" or out.endswith("\n")
    assert not out.startswith("\n")
    assert not out.endswith("\n\n")
    assert "\n\n\n" not in out
    assert not re.search(r"[ \t\r]$|\t|\r", out, re.MULTILINE)
    return out


def body(text: str) -> str:
    """The lines of a model's body, formatted, without their indentation."""
    out = check(f"model M {{\n{text}\n}}\n")
    lines = out.split("\n")
    assert lines[0] == "model M {"
    assert lines[-2:] == ["}", ""]
    return "\n".join(line.removeprefix("    ") for line in lines[1:-2])


CANONICAL = """\
use "blocks.cnn"

# ResNet-50 as torchvision ships it (stride on the 3x3 convolution).
block Bottleneck(width, stride = 1, groups = 1, base = 64) {
    inner = width * base // 64 * groups
    expanded = width * 4

    input x
    y = x -> conv1: conv(inner, 1x1, bias = false) -> bn1: batch_norm -> relu
          -> conv2: conv(inner, 3x3, stride = stride, pad = 1, groups = groups, bias = false)
          -> bn2: batch_norm -> relu
          -> conv3: conv(expanded, 1x1, bias = false) -> bn3: batch_norm
    if stride != 1 or x.channels != expanded {
        x = x -> downsample: { conv(expanded, 1x1, stride = stride, bias = false) -> batch_norm }
    }
    x + y -> relu
}

# Squeeze-and-excitation: branches, broadcasting multiply.
block SqueezeExcite(squeezed) {
    input x
    scale = x -> avgpool: global_avg_pool -> fc1: conv(squeezed, 1x1) -> relu
              -> fc2: conv(x.channels, 1x1) -> hard_sigmoid
    x * scale
}

block LayerScale(initial = 1e-6) {
    input x
    scale = parameter([x.channels, 1, 1], init = initial)
    left, right = split(x, 2)
    concat(left, right -> branch2: { conv(width, 1x1, bias = false) -> batch_norm }) -> channel_shuffle(2)
    auxiliary output aux1 = x * -scale ** 2
}

model ResNet50(classes = 1000) {
    input image: 3x224x224

    conv1: conv(64, 7x7, stride = 2, pad = 3, bias = false) -> bn1: batch_norm -> relu
    max_pool(3x3, stride = 2, pad = 1)

    for i, width, depth in [(1, 64, 3), (2, 128, 4), (3, 256, 6), (4, 512, 3)] {
        for j in range(depth) {
            layer{i}.{j}: Bottleneck(width, stride = if i > 1 and j == 0 then 2 else 1)
        }
    }
    global_avg_pool -> flatten -> fc: dense(classes)

    expect params == 25_557_032  # measured
    expect shape(layer4) == 2048x7x7
}
"""


def test_what_is_canonical_stays() -> None:
    assert check(CANONICAL) == CANONICAL


def test_a_definition_is_set_off_by_one_blank_line() -> None:
    out = check('# top\n\n\n\nuse "a.cnn"\nblock A { relu }\nblock B { relu }\n# about C\nmodel C { relu }\n\n\n')
    assert out == '# top\n\nuse "a.cnn"\nblock A { relu }\n\nblock B { relu }\n\n# about C\nmodel C { relu }\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model A=B", "model A = B\n"),
        ("model A(n=1)=B(n,[2]){expect n==1}", "model A(n = 1) = B(n, [2]) { expect n == 1 }\n"),
        ("model A=B(1) # a\nmodel C=A(\n1) {\n}", "model A = B(1)  # a\n\nmodel C = A(\n    1,\n) {}\n"),
        ("model A = B ( {a->b} )", "model A = B({ a -> b })\n"),
    ],
)
def test_derived_models(text: str, expected: str) -> None:
    assert check(text) == expected


@pytest.mark.parametrize("text", ["", "\n\n", "  \n", "\ufeff\n", "\r\n"])
def test_nothing_stays_nothing(text: str) -> None:
    assert check(text) == ""


def test_carriage_returns_and_a_byte_order_mark_go() -> None:
    assert check("\ufeffmodel M {\r\n\trelu  # a\r\n}") == "model M {\n    relu  # a\n}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1+2*-3", "x = 1 + 2 * -3"),
        ("x=-a- -b+( -c )**-2//3%4", "x = -a - -b + (-c) ** -2 // 3 % 4"),
        ("x  =  f ( a,b = 1 ) [ 0 ] . c", "x = f(a, b = 1)[0].c"),
        ("x = ( a , )", "x = (a,)"),
        ("x = (a, b,)", "x = (a, b)"),
        ("x = [a, b,]", "x = [a, b]"),
        ("x = [ ]+[( )]", "x = [] + [()]"),
        ("x=not(a)and not b", "x = not (a) and not b"),
        ("x=if(a)then(b)else(c)", "x = if (a) then (b) else (c)"),
        ("for i,(j) in [1] { a }".replace("(j)", "j"), "for i, j in [1] { a }"),
        ("if a{b}else   if c{d}else{e}", "if a { b } else if c { d } else { e }"),
        ("input   a ,b", "input a, b"),
        ("input image :[1,H,W]", "input image: [1, H, W]"),
        ("layer{i}.{j}:conv", "layer{i}.{j}: conv"),
        ('"a-{i}" :conv', '"a-{i}": conv'),
        ("in:for:relu", "in: for: relu"),
        ("x=true", "x = true"),
        ("x = a.1.0.b . 2_c . if [0]", "x = a.1.0.b.2_c.if[0]"),
        ("x = a.\\\n".replace("\\\n", "b"), "x = a.b"),
        ("{conv->relu}", "{ conv -> relu }"),
        ("x = { }", "x = {}"),
        ("f({a},{ })", "f({ a }, {})"),
        ("conv(64,\n  3x3)", "conv(64, 3x3)"),
        ("conv(\n  64, 3x3)", "conv(\n    64,\n    3x3,\n)"),
        ("x = (\na +\nb)", "x = (\n    a + b\n)"),
        ("x = xs[\n0]", "x = xs[\n    0\n]"),
        ("x = (\n1,)", "x = (\n    1,\n)"),
        ("x = f(\n)", "x = f()"),
        ("expect a<=b", "expect a <= b"),
        ("#a", "# a"),
        ("#!a", "#!a"),
        ("##", "##"),
        ("#", "#"),
    ],
)
def test_spaces(text: str, expected: str) -> None:
    assert body(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n-> b -> c\n-> d", "a\n    -> b -> c\n    -> d"),
        ("a -> b\n-> c", "a -> b\n  -> c"),
        ("y = a -> b\n\n\n-> c", "y = a -> b\n      -> c"),
        ("a -> b # 1\n # 2\n-> c # 3", "a -> b  # 1\n  # 2\n  -> c  # 3"),
        ("x = f(a, b\n-> c)", "x = f(\n    a,\n    b\n        -> c,\n)"),
        ("a -> { b\nc } -> d\n-> e", "a -> {\n    b\n    c\n} -> d\n  -> e"),
        ("a -> { b\n-> c }", "a -> {\n    b\n        -> c\n}"),
        ("x = f({ b\nc })", "x = f(\n    {\n        b\n        c\n    },\n)"),
    ],
)
def test_line_breaks_of_pipelines_stay(text: str, expected: str) -> None:
    assert body(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a # 1\n\n\n# 2\n# 3\n\nb", "a  # 1\n\n# 2\n# 3\n\nb"),
        ("if a { # 1\n# 2\nb\n# 3\n} # 4", "if a {  # 1\n    # 2\n    b\n    # 3\n}  # 4"),
        (
            "x = f( # 1\na, # 2\n# 3\nb # 4\n# 5\n) # 6",
            "x = f(\n    # 1\n    a,  # 2\n    # 3\n    b,  # 4\n    # 5\n)  # 6",
        ),
        ("x = f(a # 1\n, # 2\nb)", "x = f(\n    a,  # 1\n    # 2\n    b,\n)"),
        ("x = (a # 1\n+ b)", "x = (\n    # 1\n    a + b\n)"),
        ("x = f( # 1\n)", "x = f(\n    # 1\n)"),
        ("x = { # 1\n}", "x = {  # 1\n}"),
        ("x = f(a -> b # 1\n-> c)", "x = f(\n    a -> b  # 1\n      -> c,\n)"),
    ],
)
def test_comments_stay(text: str, expected: str) -> None:
    assert body(text) == expected


def test_a_long_call_gets_an_argument_a_line() -> None:
    arguments = [f"{'a' * 30}{number} = {number}" for number in range(4)]
    out = body(f"conv({', '.join(arguments)}) -> relu")
    assert out == "conv(\n" + "".join(f"    {each},\n" for each in arguments) + ") -> relu"


def test_a_long_pipeline_breaks_before_an_arrow() -> None:
    out = body("x = a" + " -> conv(64)" * 12)
    assert out == "x = a" + " -> conv(64)" * 9 + "\n      -> conv(64) -> conv(64) -> conv(64)"
    assert max(len(line) for line in out.split("\n")) + 4 <= WIDTH


def test_a_pipeline_whose_first_stage_is_long_goes_on_at_the_left() -> None:
    first = "reduce: depthwise_conv(3x3, stride = 2, pad = [(0, 1)] * 2, bias = false)"
    out = body(f"{first} -> norm: batch_norm(eps = 1e-3, momentum = 0.01) -> act: relu6")
    assert out == f"{first}\n    -> norm: batch_norm(eps = 1e-3, momentum = 0.01) -> act: relu6"


def test_a_long_group_gets_a_line_a_statement() -> None:
    out = body("block{i}: { " + " -> ".join(["conv(64, 3x3, bias = false)"] * 4) + " }")
    assert out.startswith("block{i}: {\n    conv(64, 3x3, bias = false) -> ")
    assert out.endswith("\n}")


def test_what_is_no_spec_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        format_source("model M { conv(", "t.cnn")
    assert caught.value.diagnostics[0].code == "unclosed-bracket"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_specs_of_the_zoo(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert check(text) == text


# ---------------------------------------------------------------------------------------------------- random specs


class Author:
    """Writes a random spec, with random white space and comments wherever the language allows them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.out: list[str] = []
        self.count = 0
        self.tail = "_and_so_on" * self.random.choice([0, 0, 2, 5])  # makes lines too long

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def comment(self) -> str:
        self.count += 1
        return self.pick("#", "# ", "#  ", "##") + f"comment{self.count}" + self.pick("", " ", " -> (", ' "a" {')

    def write(self, *words: str) -> None:
        self.out.extend(words)

    def space(self) -> None:
        """Between two words of a line."""
        self.write(self.pick(" ", " ", "  ", "\t"))

    def loose(self) -> None:
        """Between two signs in parentheses or brackets, and before an arrow."""
        self.write(self.pick("", "", " ", " ", " "))
        while self.chance(0.08):
            self.write(self.comment() if self.chance(0.3) else "", self.pick("\n", "\n", "\r\n"), self.pick("", "  "))

    def end(self) -> None:
        """The end of a statement."""
        self.write(self.pick("", " "), self.comment() if self.chance(0.15) else "", "\n")
        while self.chance(0.2):
            self.write(self.pick("", "   "), self.comment() if self.chance(0.5) else "", "\n")

    def gap(self, loose: bool) -> None:
        if loose:
            self.write(" ")
            self.loose()
        else:
            self.space()

    def name(self) -> None:
        self.write(self.pick("x", "y", "conv", "relu", "width", "in_", "x1") + self.tail)

    def items(self, depth: int, opening: str, closing: str, *, named: bool, least: int = 0) -> None:
        self.write(opening)
        self.loose()
        count = max(least, self.random.randint(0, 3))
        for place in range(count):
            if named and self.chance(0.4):
                self.name()
                self.loose()
                self.write("=")
                self.loose()
            self.pipeline(depth - 1, loose=True)
            self.loose()
            if place < count - 1 or self.chance(0.2) or (opening == "(" and not named and count == 1):
                self.write(",")
                self.loose()
        self.write(closing)

    def expression(self, depth: int, *, loose: bool) -> None:
        kind = self.random.randint(0, 13) if depth > 0 else self.random.randint(0, 3)
        if kind == 0:
            self.name()
        elif kind == 1:
            self.write(self.pick("1", "2_000", "1e-6", "0.5", "3x3", "3x224x224"))
        elif kind == 2:
            self.write(self.pick("true", "false", '"a"', '"a{ i}-{xs[1]}"', '"b \\" \\\\"'))
        elif kind == 3:
            self.write(self.pick("x.channels", "layer1.0.conv1", "a . 1 . 0.in"))
        elif kind in (4, 5, 6):
            self.write(self.pick("conv", "f.g", "xs[0]", f"conv{self.tail}"))
            self.items(depth, "(", ")", named=True)
        elif kind == 7:
            self.items(depth, "[", "]", named=False)
        elif kind == 8:
            self.items(depth, "(", ")", named=False, least=self.random.randint(0, 2))
        elif kind == 9:
            self.write("(")
            self.loose()
            self.pipeline(depth - 1, loose=True)
            self.loose()
            self.write(")")
        elif kind in (10, 11):
            self.write("(")
            self.expression(depth - 1, loose=True)
            self.write(")")
            self.gap(loose)
            self.write(self.pick("+", "-", "*", "/", "//", "%", "**", "==", "<=", "and", "or"))
            self.gap(loose)
            self.write(self.pick("", "", "-", "- ", "+-"))
            self.write("(")
            self.expression(depth - 1, loose=True)
            self.write(")")
        elif kind == 12:
            self.write(self.pick("-", "not ", "- -"))
            self.write(self.pick("x", "(y)", "f(-1)", "xs[ -1]"))
        else:
            self.write("(")
            for word in ("if", "then", "else"):
                self.write(f" {word} ")
                self.loose()
                self.expression(depth - 1, loose=True)
            self.write(")")

    def stage(self, depth: int, *, loose: bool) -> None:
        if self.chance(0.3):
            self.write(self.pick("conv1", "layer{i}.{ j + 1}", '"a-{i}"', "in", "a.0"), self.pick("", " "), ":")
            self.space()
            self.write(self.pick("relu", "conv(3)", f"conv(a = x{self.tail}, b = y{self.tail})"))
        elif depth > 0 and self.chance(0.2):
            self.body(depth - 1)
        else:
            self.expression(depth, loose=loose)

    def pipeline(self, depth: int, *, loose: bool) -> None:
        self.stage(depth, loose=loose)
        while self.chance(0.4):
            self.loose()
            self.write("->")
            self.space()
            self.stage(depth, loose=loose)

    def body(self, depth: int) -> None:
        self.write("{")
        if self.chance(0.5):
            self.write(" ")
            if self.chance(0.8):
                self.statement(depth)
            self.write(" ")
        else:
            self.end()
            for _ in range(self.random.randint(0, 3)):
                self.statement(depth)
                self.end()
        self.write("}")

    def statement(self, depth: int) -> None:
        kind = self.random.randint(0, 9)
        if kind < 3:
            start = len(self.out)
            self.pipeline(depth, loose=False)
            if "".join(self.out[start:]).startswith(("-", "+")):
                self.out.insert(start, "label: ")  # a statement does not begin with a sign
        elif kind < 5:
            self.write(self.pick("x = ", "x  =", "a,b = ", "a , b="))
            self.pipeline(depth, loose=False)
        elif kind == 5:
            self.write(self.pick("output ", "output a = ", "auxiliary  output ", "auxiliary output b="))
            self.pipeline(depth, loose=False)
        elif kind == 6:
            self.write(self.pick("input x", "input a ,b", "input  image:1x2x3", "expect params==3"))
        elif kind == 7 and depth > 0:
            self.write(self.pick("for i in ", "for i ,j  in ", "for i,(j,k ,)  in ", "for(i , j) in "))
            self.expression(depth - 1, loose=False)
            self.write(" ")
            self.body(depth - 1)
        elif depth > 0:
            self.write("if ")
            self.expression(depth - 1, loose=False)
            self.write(" ")
            self.body(depth - 1)
            if self.chance(0.3):
                self.write(" else if x ")
                self.body(depth - 1)
            if self.chance(0.3):
                self.write(self.pick("else", " else "))
                self.body(depth - 1)
        else:
            self.write("relu")

    def file(self) -> str:
        for _ in range(self.random.randint(0, 3)):
            kind = self.pick("use", "block", "model")
            if kind == "use":
                self.write('use "a.cnn"')
            else:
                self.write(kind, " ", "Name")
                if self.chance(0.5):
                    self.write(self.pick("(a, b = 1)", " ( a,)", "()", "(\n  a # one\n,)"))
                if kind == "model" and self.chance(0.3):
                    self.write(self.pick(" = ", "="), "Base")
                    if self.chance(0.7):
                        self.items(3, "(", ")", named=True)
                    self.write(self.pick("", " {}", " { expect params == 3 }", " {\n  expect a <= 2 # two\n}"))
                else:
                    self.write(" ")
                    self.body(3)
            self.end()
        return "".join(self.out)


@given(st.integers(0, 2**63))
@settings(max_examples=300, deadline=None)
def test_random_specs(seed: int) -> None:
    check(Author(seed).file())
