"""Text to syntax tree: what parses, where every word stands, and what is said about what does not."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnspec.diagnostics import Diagnostic, Span, SpecError
from cnnspec.syntax import parse as parse_module
from cnnspec.syntax import tree
from cnnspec.syntax.parse import MAX_DEPTH, RESERVED, parse, parse_expression
from cnnspec_grammar import GRAMMAR_PATH, grammar_text

EXAMPLES = {
    "nielsen6": """\
# The network of "Neural Networks and Deep Learning", chapter 6.
model Nielsen6(classes = 10) {
    input image: 1x28x28                          # channels x height x width; the batch is implied

    conv(20, 5x5) -> relu -> max_pool(2x2)        # conv: 20 * (25 + 1) = 520 parameters, 20x24x24
    conv(40, 5x5) -> relu -> max_pool(2x2)
    flatten
    dense(1000) -> relu -> dropout(0.5)
    dense(1000) -> relu -> dropout(0.5)
    dense(classes) -> softmax

    expect shape(conv_1) == 20x24x24
    expect params(conv_1) == 520
}
""",
    "resnet": """\
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

    expect params == 25_557_032
    expect shape(layer4) == 2048x7x7
}
""",
    "blocks": """\
# Squeeze-and-excitation: branches, broadcasting multiply.
block SqueezeExcite(squeezed) {
    input x
    scale = x -> avgpool: global_avg_pool -> fc1: conv(squeezed, 1x1) -> relu
              -> fc2: conv(x.channels, 1x1) -> hard_sigmoid
    x * scale
}

# DenseNet: a value rebound in a loop, interpolated names.
block DenseBlock(depth, growth) {
    input x
    for i in range(1, depth + 1) {
        x = concat(x, x -> denselayer{i}: DenseLayer(growth))
    }
    output x
}

# ShuffleNet: a split with two results, a branch inside an argument.
block ShuffleUnit(width) {
    input x
    left, right = split(x, 2)
    concat(left, right -> branch2: { conv(width, 1x1, bias = false) -> batch_norm }) -> channel_shuffle(2)
}

# ConvNeXt: a learned vector.
block LayerScale(initial = 1e-6) {
    input x
    scale = parameter([x.channels, 1, 1], init = initial)
    x * scale
}

# A fully convolutional net: height and width are not known yet.
model Segmenter(classes = 2) {
    input image: [1, H, W]
    conv(16, 3x3, pad = same) -> relu -> mask: conv(classes, 1x1)
}
""",
    "the rest": """\
use "blocks.cnn"

block Inception(norm = batch_norm, act = relu) {
    input a, b
    c = conv(bias = false)
    features = [a, b,]
    features = features + [c(64, 3x3)]
    if not true or a.channels % 2 == 0 {
        "block1-{a.channels - 1}": norm(eps = 1e-3)
    } else if false {
        act
    } else { identity }
    auxiliary output aux1 = a -> dense(10)
    auxiliary output b
    output logits = concat(
        features,  # a comment
        -> relu,
    )
    output a, b
    expect shape(features.1.0.block) <= 2 ** -1 / 3.5
}
""".replace("        -> relu,\n", "        b -> relu\n            -> relu,\n"),
}


def show(node: Any) -> str:
    """A tree in one line, without places."""
    if isinstance(node, tuple):
        return " ".join(show(each) for each in node)
    match node:
        case tree.Name(text=text) | tree.Number(text=text):
            return str(text)
        case tree.String(value=value):
            return repr(value)
        case tree.Interpolated(parts=parts):
            return f"'{''.join(part if isinstance(part, str) else f'{{{show(part)}}}' for part in parts)}'"
        case tree.Boolean(value=value):
            return str(value).lower()
        case tree.DimsLiteral(sizes=sizes):
            return "x".join(map(str, sizes))
        case tree.ListLiteral(items=items):
            return f"[{show(items)}]"
        case tree.TupleLiteral(items=items):
            return f"<{show(items)}>"
        case tree.Attribute(value=value, name=name):
            return f"({show(value)} . {show(name)})"
        case tree.Index(value=value, index=index):
            return f"({show(value)} @ {show(index)})"
        case tree.Argument(name=name, value=value):
            return f"{name.text}={show(value)}" if name else show(value)
        case tree.Call(function=function, arguments=arguments):
            return f"{show(function)}({show(arguments)})"
        case tree.Unary(operator=operator, operand=operand):
            return f"({operator} {show(operand)})"
        case tree.Binary(operator=operator, left=left, right=right):
            return f"({show(left)} {operator} {show(right)})"
        case tree.Conditional(test=test, yes=yes, no=no):
            return f"(if {show(test)} {show(yes)} {show(no)})"
        case tree.Label(parts=parts, quoted=quoted):
            body = "".join(part if isinstance(part, str) else f"{{{show(part)}}}" for part in parts)
            return f"'{body}'" if quoted else body
        case tree.Group(body=body):
            return f"{{{'; '.join(map(show, body))}}}"
        case tree.Labelled(label=label, value=value):
            return f"{show(label)}: {show(value)}"
        case tree.Pipeline(stages=stages):
            return f"({' -> '.join(map(show, stages))})"
        case tree.Flow(value=value):
            return show(value)
        case tree.Binding(targets=targets, value=value):
            return f"{show(targets)} = {show(value)}"
        case tree.Input(names=names, shape=shape):
            return f"input {show(names)}" + (f": {show(shape)}" if shape else "")
        case tree.Output(name=name, values=values, auxiliary=auxiliary):
            return f"{'auxiliary ' * auxiliary}output {show(name) + ' = ' if name else ''}{show(values)}"
        case tree.Names(names=names):
            return f"<{show(names)}>"
        case tree.For(targets=targets, iterable=iterable, body=body):
            return f"for {show(targets)} in {show(iterable)} {{{'; '.join(map(show, body))}}}"
        case tree.If(test=test, body=body, otherwise=otherwise):
            return f"if {show(test)} {{{'; '.join(map(show, body))}}} {{{'; '.join(map(show, otherwise))}}}"
        case tree.Expect(claim=claim):
            return f"expect {show(claim)}"
    raise AssertionError(node)


def statements(*lines: str) -> list[str]:
    """The statements of a body, each as `show` prints it."""
    text = "model M {\n" + "\n".join(lines) + "\n}"
    (definition,) = parse(text, "t.cnn").definitions
    return [show(each) for each in definition.body]


def nodes(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple) and not isinstance(node, Span):
        for each in node:
            yield from nodes(each)
    elif dataclasses.is_dataclass(node):
        yield node
        for each in dataclasses.fields(node):
            yield from nodes(getattr(node, each.name))


def slice_of(text: str, span: Span) -> str:
    lines = text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- what parses


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_every_word_of_the_examples_is_found_at_its_place(text: str) -> None:
    file = parse(text, "t.cnn")
    assert file.definitions
    for node in nodes(file):
        if isinstance(node, tree.Name | tree.Number):
            assert slice_of(text, node.span) == node.text
        elif isinstance(node, tree.Definition):
            assert slice_of(text, node.span).startswith(node.keyword)
            assert slice_of(text, node.span).endswith("}")
        elif isinstance(node, tree.Call):
            assert slice_of(text, node.span).endswith(")")


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_byte_order_mark_carriage_returns_and_tabs_change_nothing(text: str) -> None:
    plain = parse(text, "t.cnn")
    assert parse("\ufeff" + text, "t.cnn") == plain
    assert parse(text.replace("\n", "\r\n"), "t.cnn") == plain
    assert parse(text.replace("    ", "\t   "), "t.cnn") == plain


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "\n\n  # two\n# lines\n\n", "\ufeff", "\t"])
def test_a_file_may_say_nothing(text: str) -> None:
    file = parse(text, "t.cnn")
    assert (file.uses, file.definitions) == ((), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)"),
        ("8 // 3 / 2 % 5", "(((8 // 3) / 2) % 5)"),
        ("-2 ** -3 ** 2", "(- (2 ** (- (3 ** 2))))"),
        ("- -x + +y", "((- (- x)) + (+ y))"),
        ("a or b and not c == d + 1", "(a or (b and (not (c == (d + 1)))))"),
        ("not not a", "(not (not a))"),
        ("(a < b) == (c >= d)", "((a < b) == (c >= d))"),
        ("if a then 1 else if b then 2 else 3", "(if a 1 (if b 2 3))"),
        ("(if a then 1 else 2) + 1", "((if a 1 2) + 1)"),
        ("f(1, k = if a then 1 else 2, g()(x)[0].y)", "f(1 k=(if a 1 2) ((g()(x) @ 0) . y))"),
        ("f(x -> g, k = x -> a: g, {h},)", "f((x -> g) k=(x -> a: g) {h})"),
        ("(x -> g) + 1", "((x -> g) + 1)"),
        ("[1, (2, 3), (4,), (), [], 3x3, x -> g,]", "[1 <2 3> <4> <> [] 3x3 (x -> g)]"),
        ("[\n  1,\n\n  # comment\n  2\n]", "[1 2]"),
        ("(1\n + 2\n)", "(1 + 2)"),
        ('"a \\"b\\" \\\\ #"', "'a \"b\" \\\\ #'"),
        ("true == false", "(true == false)"),
        ("layer1.0.conv1", "((layer1 . 0) . conv1)"),
        ("features.1.0.block.in", "((((features . 1) . 0) . block) . in)"),
        ("a.1x1.2_b", "((a . 1x1) . 2_b)"),
        ("1_000 + 2.5e-3 + 1e6 + 0.25", "(((1_000 + 2.5e-3) + 1e6) + 0.25)"),
        ("inner + format + notx + in_", "(((inner + format) + notx) + in_)"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert show(parse_expression(text, "t")) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [("1_000", 1000), ("007", 7), ("1e-6", 1e-6), ("0.5", 0.5), ("2E3", 2000.0), ("9" * 18, 10**18 - 1)],
)
def test_numbers(text: str, value: float) -> None:
    number = parse_expression(text, "t")
    assert isinstance(number, tree.Number)
    assert (number.value, type(number.value), number.text) == (value, type(value), text)


def test_dims() -> None:
    dims = parse_expression("3x224x224", "t")
    assert isinstance(dims, tree.DimsLiteral)
    assert dims.sizes == (3, 224, 224)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input image: 3x224x224", "input image: 3x224x224"),
        ("input a, b", "input a b"),
        ("input block_1: [1, H, W]", "input block_1: [1 H W]"),
        ("output x", "output x"),
        ("output a, b -> relu", "output a (b -> relu)"),
        ("output logits = x -> dense(10)", "output logits = (x -> dense(10))"),
        ("auxiliary output aux1 = x -> dense(10)", "auxiliary output aux1 = (x -> dense(10))"),
        ("auxiliary output x", "auxiliary output x"),
        ("a, b = split(x, 2)", "a b = split(x 2)"),
        ("x = if a then b else c -> relu", "x = ((if a b c) -> relu)"),
        ("if a then b else c", "(if a b c)"),
        ("conv1: conv(64, 3x3) -> bn1: relu", "(conv1: conv(64 3x3) -> bn1: relu)"),
        ("a: b: relu", "a: b: relu"),
        ("layer{i}.{j + 1}.0: relu", "layer{i}.{(j + 1)}.0: relu"),
        ('"block1-{j}": relu', "'block1-{j}': relu"),
        ('"{ i }{xs[1]}" : relu', "'{i}{(xs @ 1)}': relu"),
        ('"a.b \\"c\\"": relu', "'a.b \"c\"': relu"),
        ("block: input: relu", "block: input: relu"),
        ("{ a -> b }", "{(a -> b)}"),
        ("{}", "{}"),
        ("x -> { a\n b\n\n c }", "(x -> {a; b; c})"),
        ("f({\n a\n b\n}, c)", "f({a; b} c)"),
        ("a\n  # comment\n\n  -> b  # another\n-> c", "(a -> b -> c)"),
        ("for i, w in [(1, 2)] { a }", "for i w in [<1 2>] {a}"),
        ("for i, (w, d) in x { a }", "for i <w d> in x {a}"),
        ("for (a, b,), c in x { a }", "for <a b> c in x {a}"),
        ("for (a, b) in x { a }", "for <a b> in x {a}"),
        ('x = "a{i + 1}\\"{b}"', "x = 'a{(i + 1)}\"{b}'"),
        ("(-x) -> relu", "((- x) -> relu)"),
        ("y = -x", "y = (- x)"),
        ("f(\n  -x,\n  a\n  + b\n)", "f((- x) (a + b))"),
        ("if a { b } else if c { d } else { e }", "if a {b} {if c {d} {e}}"),
        ("if a { b } else if c { d }", "if a {b} {if c {d} {}}"),
        ("if (a) { b }", "if a {b} {}"),
        ("expect params == 25_557_032", "expect (params == 25_557_032)"),
    ],
)
def test_statements(text: str, expected: str) -> None:
    assert statements(text) == [expected]


def test_a_model_needs_no_parameters_and_may_leave_them_empty() -> None:
    for text in ("model M { }", "model M() {}", "model M(\n) {\n}"):
        (definition,) = parse(text, "t").definitions
        assert (definition.keyword, definition.name.text, definition.parameters, definition.body) == (
            "model",
            "M",
            (),
            (),
        )


def test_parameters_and_uses() -> None:
    file = parse('use "a.cnn"\nblock B(\n  a,  # first\n  b = (1, 2),\n) { a }\nuse "b.cnn"', "t")
    assert [use.path.value for use in file.uses] == ["a.cnn", "b.cnn"]
    a, b = file.definitions[0].parameters
    assert (a.name.text, a.default) == ("a", None)
    assert show(b.default) == "<1 2>"


def test_derived_models() -> None:
    text = "model A(n = 1) = B(n, [2], k = conv(3)) {\n expect params == 3\n}\nmodel C = A\nmodel D() = A(\n)\n"
    a, c, d = parse(text, "t").definitions
    assert (show(a.base), show(a.body), len(a.parameters)) == ("B(n [2] k=conv(3))", "expect (params == 3)", 1)
    assert (show(c.base), c.body, show(d.base)) == ("A()", (), "A()")
    assert [slice_of(text, each.span).split("\n")[-1] for each in (a, c, d)] == ["}", "model C = A", ")"]
    assert a.base is not None
    assert slice_of(text, a.base.span) == "B(n, [2], k = conv(3))"


def test_the_value_in_a_label_has_its_place_in_the_file() -> None:
    text = 'model M {\n  "a\\"{  i + 1}": relu -> b{j}.{xs[k]}: c\n}'
    names = [node for node in nodes(parse(text, "t")) if isinstance(node, tree.Name)]
    assert [slice_of(text, name.span) for name in names] == [name.text for name in names]
    assert {"i", "j", "k"} < {name.text for name in names}


def test_a_span_takes_in_the_parentheses_it_begins_with() -> None:
    assert parse_expression("(a + b) * c", "t").span == Span("t", 1, 1, 1, 12)


def test_depth_counts_the_nodes_on_the_longest_way_down() -> None:
    assert parse_expression("a", "t").depth == 1
    assert parse_expression("f(a + b * -c)", "t").depth == 5
    for text in EXAMPLES.values():
        for node in nodes(parse(text, "t")):
            below = [each.depth for field in dataclasses.fields(node) for each in direct(getattr(node, field.name))]
            if hasattr(node, "depth") and below:
                assert node.depth >= max(below)


def direct(value: Any) -> list[Any]:
    values = value if isinstance(value, tuple) else (value,)
    return [each for each in values if hasattr(each, "depth")]


def test_the_reserved_words_are_those_of_the_grammar() -> None:
    assert grammar_text() == GRAMMAR_PATH.read_text(encoding="utf-8")
    name = re.search(r"^NAME: /\(\?!\(\?:([a-z|]+)\)", grammar_text(), re.MULTILINE)
    assert name is not None
    assert set(name[1].split("|")) == RESERVED


def test_no_conflict_is_settled_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lark"):
        lark.Lark(grammar_text(), parser="lalr", start=["file", "expression"], debug=True)
    assert not [record for record in caplog.records if "conflict" in record.message]


# ---------------------------------------------------------------------------------------------------- what does not


def refused(text: str, *, expression: bool = False) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        (parse_expression if expression else parse)(text, "t.cnn")
    (diagnostic,) = caught.value.diagnostics
    assert list(caught.value.sources) == ["t.cnn"]
    in_words(diagnostic, text)
    return diagnostic


def in_words(diagnostic: Diagnostic, text: str) -> None:
    """Nothing of the machinery shows, and the places are places of the text."""
    said = "\n".join([diagnostic.message, diagnostic.label, diagnostic.help, *(note for _, note in diagnostic.notes)])
    shown = re.sub(r"`[^`]*`|U\+[0-9A-F]+", "", said)
    assert not re.search(r"\b_?[A-Z]{2,}\b|\$END|Token|\bTerminal", shown), said
    assert said.isprintable() or "\n" in said
    assert diagnostic.message
    assert len(diagnostic.message) < 200
    lines = text.removeprefix("\ufeff").split("\n")
    for span in (diagnostic.span, *(span for span, _ in diagnostic.notes)):
        assert span.file == "t.cnn"
        assert 1 <= span.line <= span.end_line <= len(lines)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        assert (span.end_line, span.end_column) > (span.line, span.column)


SLIPS = [
    # in the body of a model: the text, the code, what is underlined, and words of the message or the help
    ("conv(64 3x3)", "missing-comma", "3x3", "a comma is missing before `3x3`"),
    ("f(\n  1\n  2)", "missing-comma", "2", "`,`"),
    ("x = [1 2]", "missing-comma", "2", "`,`"),
    ("conv(64) relu", "missing-arrow", "relu", "`->`"),
    ("x = a b", "missing-arrow", "b", "`->`"),
    ("conv(64, 3x3", "unclosed-bracket", "(", "`)`"),
    ("conv(64, 3x3]", "unclosed-bracket", "(", "`)`"),
    ("x = f(\n  1,\n  y = 3\nrelu -> conv(3)", "unclosed-bracket", "(", "`)`"),
    ("conv(64))", "unopened-bracket", ")", "closes nothing"),
    ("conv(64) ->\nrelu", "unexpected-line-end", None, "start of the next line"),
    ("x =", "unexpected-line-end", None, "parentheses"),
    ("x = 1 +  # more", "unexpected-line-end", None, "parentheses"),
    ("x = not", "unexpected-line-end", None, "parentheses"),
    ("x = if a then b", "unexpected-line-end", None, "`if test then one else other`"),
    ("x = 1 if a else 2", "unexpected-token", "if", "`if test then one else other`"),
    ("if x = 1 { relu }", "equals-in-condition", "=", "`==`"),
    ("expect params = 5", "equals-in-condition", "=", "`==`"),
    ("expect a < b < c", "chained-comparison", "<", "`a < b and b < c`"),
    ("x.y = 3", "not-a-name", "=", "a name"),
    ("a -> x = 3", "not-a-name", "=", "a name"),
    ("x += 3", "unexpected-token", "=", "`n = n + 1`"),
    ('x = "abc', "unterminated-string", '"abc', '`"`'),
    ('x = "a\\nb"', "unknown-escape", "\\n", '`\\"`'),
    ("x = 'abc'", "unexpected-character", "'", "double quotes"),
    ("conv(64;3)", "unexpected-character", ";", "ends with its line"),
    ("x \u2192 conv", "unexpected-character", "\u2192", "`->`"),
    ("x = a && b", "unexpected-character", "&", "`and`"),
    ("\u00e9 = 3", "unexpected-character", "\u00e9", "letters a to z"),
    ("x = \x07", "unexpected-character", "\x07", "U+0007"),
    ("x = \x00", "unexpected-character", "\x00", "U+0000"),
    ("x = `a`", "unexpected-character", "`", "U+0060"),
    ("x = a ? b", "unexpected-character", "?", "no meaning"),
    ("in = 3", "reserved-word", "in", "cannot be a name"),
    ("conv(64, use = 3)", "reserved-word", "use", "`use_`"),
    ("for in x { }", "reserved-word", "in", "cannot be a name"),
    ("x = a and and b", "reserved-word", "and", "a value is missing"),
    ("if x:\nrelu", "colon-for-brace", ":", "`{`"),
    ("for i in range(3):\nx", "colon-for-brace", ":", "`{`"),
    ("if x\n{ relu }", "missing-brace", None, "`{`"),
    ("if x { relu }\nelse { y }", "misplaced-else", "else", "`} else {`"),
    ("else { y }", "misplaced-else", "else", "no `if`"),
    ("conv(64, stride: 2)", "label-without-layer", "stride: 2", "`stride = ...`"),
    ('"a": 64', "label-without-layer", '"a": 64', "names a layer"),
    ("(x): conv", "bad-label", ":", "`conv1`"),
    ("layer{i: conv", "bad-label", "{", "`layer{i}: conv(64)`"),
    ("layer..a: conv", "bad-label", "layer..a", "is empty"),
    ("layer.: conv", "bad-label", "layer.", "is empty"),
    ("layer{i}..a: conv", "bad-label", "layer{i}..a", "is empty"),
    ('"": conv', "bad-label", '""', "is empty"),
    ('"a}b": conv', "bad-label", '"a}b"', "partner"),
    ('"a{b": conv', "bad-label", '"a{b"', "partner"),
    ("layer{i +}: conv", "unexpected-token", "}", "the end of the braces"),
    ("layer{}: conv", "unexpected-token", "}", "the end of the braces"),
    ("layer{in}: conv", "reserved-word", "in", "cannot be a name"),
    ("layer{i $ 2}: conv", "unexpected-character", "$", "no meaning"),
    ("layer{99999999999999999999}: conv", "number-too-large", "9" * 20, "20 digits"),
    ("input image: 3xHx224", "bad-number", "3xHx224", "`[3, H, 224]`"),
    ("x = 64px", "bad-number", "64px", "neither a number nor a name"),
    ("x = .5", "bad-number", ".", "`0.5`"),
    ("x = 1.", "bad-number", None, "`1.0`"),
    ("x = 1 . 5", "bad-number", "1 . 5", "`0.5`"),
    ("x = 1234567890123456789", "number-too-large", "1234567890123456789", "19 digits, 123456..."),
    ("x = 1_" + "0" * 10_000, "number-too-large", "1_" + "0" * 10_000, "10001 digits, 100000..."),
    ("x = 3x" + "1" * 30, "number-too-large", "3x" + "1" * 30, "30 digits"),
    ("x = 1e999", "number-too-large", "1e999", "1.8e308"),
    ("-> conv(3)", "nothing-before-arrow", "->", "begin with"),
    ("if x -> y { relu }", "misplaced-pipeline", "->", "parentheses"),
    ("expect x\n  -> y == 3", "misplaced-pipeline", "->", "parentheses"),
    ("block B { }", "misplaced-definition", "block", "top of a file"),
    ('use "x"', "misplaced-definition", "use", "top of a file"),
    ("input a, b: 3x3", "input-shape", "3x3", "`input b: ...`"),
    ("x = y, z", "unexpected-token", ",", "`(a, b)`"),
    ("conv(64,,3)", "unexpected-token", ",", "a layer or value or `)`"),
    ("conv(a = )", "unexpected-token", ")", "a layer or value"),
    ("x, = 3", "unexpected-token", "=", "a name"),
    ("x = a.", "unexpected-token", None, "a name"),
    ("for i range(3) { }", "unexpected-token", "range", "`in`"),
    ("auxiliary x", "unexpected-token", "x", "`output`"),
    ("x = if y 1 else 2", "unexpected-token", "1", "`then`"),
    ("y = a\n    + b", "leading-sign", "+", "in parentheses"),
    ("y = (a\n + b)\n    # more\n\n    - b -> relu", "leading-sign", "-", "`(-x)`"),
    ("-x", "leading-sign", "-", "`(-x)`"),
    ("x -> { -x }", "leading-sign", "-", "`(-x)`"),
    ("-1 * x", "leading-sign", "-", "`(-x)`"),
    ("for (i) in x { }", "unexpected-token", ")", "`,`"),
    ("for i, (a, (b, c)) in x { }", "unexpected-token", "(", "a name"),
    ('x = "a{b"', "bad-string", '"a{b"', "no partner"),
    ('x = "a{b c}"', "unexpected-token", "c", "the end"),
    ("x = **k", "unexpected-token", "**", "a layer or value"),
]


@pytest.mark.parametrize(("text", "code", "underlined", "words"), SLIPS, ids=[text[:30] for text, *_ in SLIPS])
def test_slips_in_a_body(text: str, code: str, underlined: str | None, words: str) -> None:
    whole = f"model M {{\n    input x\n    {text}\n}}\n"
    diagnostic = refused(whole)
    assert diagnostic.code == code
    assert words in "\n".join([diagnostic.message, diagnostic.help])
    if underlined is not None:
        assert slice_of(whole, diagnostic.span) == underlined
    else:  # the end of a line: just behind its last sign
        before = whole.split("\n")[diagnostic.span.line - 1][: diagnostic.span.column - 1]
        assert before.rstrip()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("conv(3)", "misplaced-statement", (1, 1)),
        ("modle M { }", "misplaced-statement", (1, 1)),
        ("model M\n{\n}", "missing-brace", (1, 8)),
        ("model {\n}", "unexpected-token", (1, 7)),
        ("model input { }", "reserved-word", (1, 7)),
        ("model M(a b) { }", "missing-comma", (1, 11)),
        ("model M(a: int) { }", "colon-for-equals", (1, 10)),
        ("model M(1) { }", "unexpected-token", (1, 9)),
        ("model M:\n", "colon-for-brace", (1, 8)),
        ("use blocks.cnn", "unexpected-token", (1, 5)),
        ("model M { } }", "unopened-bracket", (1, 13)),
        ("model M { a } block B { }", "unexpected-token", (1, 15)),
        ("model M = 3", "bad-base", (1, 11)),
        ("model M = a.b(3)", "bad-base", (1, 11)),
        ("block M = B(3)", "bad-base", (1, 7)),
        ("model M = { relu }", "bad-base", (1, 11)),
        ("model M =\n  B(3)", "bad-base", (1, 10)),
        ("model M = B(3) -> relu", "bad-base", (1, 16)),
        ("model M = if a then B else C", "bad-base", (1, 11)),
        ("model M = B {\n  expect params == 3\n  relu\n}", "misplaced-statement", (3, 3)),
        ("model M = B\n{\n}", "misplaced-statement", (2, 1)),
        ("model M = B(3", "unclosed-bracket", (1, 12)),
        ("model M {", "unclosed-bracket", (1, 9)),
        ("model M {\n  for i in x {\n    conv(3)\n}\n\nblock B {\n  y\n}\n", "unclosed-bracket", (2, 14)),
        ("model M {\n  if x {\n    conv(3)\n}\n", "unclosed-bracket", (2, 8)),
        ("model M {\n  a\n\nblock B {\n  y\n}\n", "unclosed-bracket", (1, 9)),
        ("model M(\n  a\n", "unclosed-bracket", (1, 8)),
        ("model M {\r\n  a b\r\n}", "missing-arrow", (2, 5)),
        ("\ufeffmodel M { a b }", "missing-arrow", (1, 13)),
        ("model M {\n a\r b\n}", "unexpected-character", (2, 3)),
    ],
)
def test_slips_at_the_top(text: str, code: str, place: tuple[int, int]) -> None:
    diagnostic = refused(text)
    assert (diagnostic.code, diagnostic.span.line, diagnostic.span.column) == (code, *place)


def test_a_bracket_of_the_wrong_kind_is_shown_with_its_partner() -> None:
    diagnostic = refused("model M {\n  f([1, 2)\n}")
    assert diagnostic.code == "unclosed-bracket"
    assert (diagnostic.span.line, diagnostic.span.column) == (2, 5)
    ((place, note),) = diagnostic.notes
    assert (place.line, place.column) == (2, 10)
    assert "`)` stands here instead" in note


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "unexpected-token"),
        ("1 +", "unexpected-token"),
        ("(1, 2", "unclosed-bracket"),
        ("a b", "unexpected-token"),
        ("1\n2", "unexpected-token"),
        ("a = 1", "unexpected-token"),
        ("x -> y", "misplaced-pipeline"),
        ("{ relu }", "unexpected-token"),
        ("a: b", "bad-label"),
        ('"a', "unterminated-string"),
        (")", "unopened-bracket"),
    ],
)
def test_slips_in_a_lone_expression(text: str, code: str) -> None:
    assert refused(text, expression=True).code == code


# ---------------------------------------------------------------------------------------------------- hostile input


@pytest.mark.parametrize(
    "value",
    [
        "(" * 10_000,
        "[" * 101 + "]" * 101,
        "f(" * 5_000 + ")" * 5_000,
        "{ " * 10_000,
        "-" * 10_000 + "1",
        "not " * 10_000 + "a",
        " + ".join("1" * 10_000),
        " ** ".join("2" * 10_000),
        "if a then b else " * 10_000 + "c",
        "a" + ".b" * 10_000,
        "a" + "[0]" * 10_000,
        "a" + "()" * 10_000,
        "a: " * 10_000 + "relu",
    ],
    ids=lambda value: value[:8],
)
def test_what_nests_too_deep_is_refused(value: str) -> None:
    assert refused("model M {\n  x = " + value + "\n}").code == "nesting-too-deep"


@pytest.mark.parametrize(
    "text",
    [
        "if a { b }" + " else if a { b }" * 10_000,
        # each a long chain in the last body of the one before: together too deep, though none is by itself
        ("if a { b }" + " else if a { b }" * 100 + " else {\n") * 3 + "c" + "\n}" * 3,
        ("if a { x = " + "-" * 80 + "{ ") * 3 + "c" + " } }" * 3,
    ],
    ids=["else if", "else if in else", "mixed"],
)
def test_what_nests_too_deep_in_statements_is_refused(text: str) -> None:
    diagnostic = refused("model M {\n" + text.replace("-{", "-f({").replace("} }", "}) }") + "\n}")
    assert diagnostic.code == "nesting-too-deep"


def test_what_nests_less_deep_is_taken() -> None:
    parse_expression("(" * 100 + "1" + ")" * 100, "t")
    parse_expression("-" * (MAX_DEPTH - 1) + "1", "t")
    parse("model M {" + "{ " * 99 + "a" + " }" * 99 + "}", "t")
    long = parse_expression("f(" + ", ".join(["1"] * 10_000) + ")", "t")
    assert long.depth == 2
    assert show(parse("model M {\n" + "a\n  -> a" * 5_000 + "\n}", "t").definitions[0].body[0]).count("->") == 5_000


@pytest.mark.parametrize(
    "text",
    [
        '"' * 20_001,
        "x" * 200_000 + "=",
        "9" * 200_000 + "a",
        "# " + "-" * 200_000 + "\n" + "\n#\n" * 20_000 + "$",
        "a{" * 20_000,
        "a{" * 20_000 + ":",
        " " * 200_000 + "$",
        "if " * 20_000 + "= 3",
        '"\\' * 20_000,
        "\\" * 20_000,
        "(\n" * 99 + "3 3" + ")" * 99,
        "3x" * 20_000,
        "1." * 20_000,
    ],
    ids=lambda text: text[:6],
)
@pytest.mark.parametrize("frame", ["{}", "model M {{\n  {}\n}}", "model M {{\n  x = {}"])
def test_long_and_broken_input_is_refused_in_time(text: str, frame: str) -> None:
    refused(frame.format(text))


WORDS = (
    "model block M ( ) [ ] { } , : = == < -> + - * ** // % . 3 1.5 3x3 1e-3 a b conv if then else for in not and or "
    'input output auxiliary use expect true "s" "a{i}": l{i}: l: # \n \t \r\n $ \x00 \u00e9 " \\ ; 1_0 0 .5 _'
)
PIECES = WORDS.split(" ")


@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from(["", " "]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_tree_or_an_error_in_words(pieces: list[str], between: str, in_model: bool) -> None:
    text = between.join(pieces)
    text = f"model M {{\n{text}\n}}" if in_model else text
    try:
        parse(text, "t.cnn")
    except SpecError as error:
        for diagnostic in error.diagnostics:
            in_words(diagnostic, text)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_characters_give_a_tree_or_an_error_in_words(text: str) -> None:
    for run in (parse, parse_expression):
        try:
            run(text, "t.cnn")
        except SpecError as error:
            for diagnostic in error.diagnostics:
                in_words(diagnostic, text)


@given(st.sampled_from(list(EXAMPLES.values())), st.integers(0, 3000), st.integers(0, 12), st.sampled_from(PIECES))
@settings(max_examples=300, deadline=None)
def test_a_damaged_example_gives_a_tree_or_an_error_in_words(text: str, start: int, length: int, new: str) -> None:
    text = text[:start] + new + text[start + length :]
    try:
        parse(text, "t.cnn")
    except SpecError as error:
        for diagnostic in error.diagnostics:
            in_words(diagnostic, text)


# ---------------------------------------------------------------------------------------------------- the machinery


def fresh_tables(folder: Path) -> list[Path]:
    return sorted((folder / "cnnspec").glob("*"))


def build_parser() -> Any:
    return parse_module._parser.__wrapped__()[0]


def test_tables_are_kept_and_damaged_ones_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build_parser().parse("1 + 2", "expression").depth == 2
    (tables,) = fresh_tables(tmp_path)
    good = tables.read_bytes()
    first = tables.stat().st_ino
    assert build_parser().parse("1 + 2", "expression").depth == 2
    assert tables.stat().st_ino == first  # only read
    for damaged in (b"", good[:-1], good[:1000], good[:2000] + b"\x00" + good[2001:], b"cos\nsystem\n(S'false'\ntR."):
        tables.write_bytes(damaged)
        assert build_parser().parse("1 + 2", "expression").depth == 2
        assert len(tables.read_bytes()) > 0.9 * len(good)
        assert tables.read_bytes() != damaged
        assert fresh_tables(tmp_path) == [tables]


def test_without_a_place_for_tables_all_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert build_parser().parse("1 + 2", "expression").depth == 2
    monkeypatch.delenv("XDG_CACHE_HOME")

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert build_parser().parse("1 + 2", "expression").depth == 2


def test_processes_may_start_at_the_same_time(tmp_path: Path) -> None:
    command = "from cnnspec.syntax.parse import parse; print(len(parse('model M { }', 't').definitions))"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen([sys.executable, "-c", command], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["1"] * 3
    assert len(fresh_tables(tmp_path)) == 1


def test_threads_do_not_mix_their_files() -> None:
    files: dict[str, tree.File] = {}

    def work(name: str) -> None:
        for _ in range(5):
            files[name] = parse(EXAMPLES["resnet"], name)

    threads = [threading.Thread(target=work, args=(f"{number}.cnn",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, file in files.items():
        assert {node.span.file for node in nodes(file) if hasattr(node, "span")} == {name}


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        parse("model M { }", "t")
        with pytest.raises(SpecError):
            parse("model M {", "t")
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
