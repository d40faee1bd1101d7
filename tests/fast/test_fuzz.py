"""Damaged specs: whatever is done to a spec, a check of it ends with a graph or with diagnostics in their places."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnspec import api, loading, zoo
from cnnspec.diagnostics import Diagnostic, SpecError, render

TOKEN = re.compile(r"\"[^\"\n]*\"|->|[A-Za-z_]\w*|\d[\d._x]*|\s+|#[^\n]*|\S")
SMALL = (
    "lenet",
    "nielsen6",
    "unet",
    "fcn",
    "dqn",
    "sigmoid_mlp",
    "squeezenet",
    "densenet",
    "shufflenet_v2",
    "googlenet",
)
TEXTS = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted(zoo.folder().rglob("*.cnn")) if path.stem in SMALL
}
EVERYTHING = """\
block Unit(width, act = relu, groups = 1, inner = identity) {
    input x, skip
    widths = [width, width // 2]
    y = x -> conv1: conv(widths[0], 3x3, pad = same, groups = groups, init = he_normal) -> bn: batch_norm -> act
    for i, w in enumerate(widths) {
        y = y -> branch{i}: { conv(w, 1x1) -> inner -> dropout(0.1) }
        if w > 8 and not (i == 1) {
            y = y -> relu
        } else if w == 4 {
            y = y -> "act-{i}": leaky_relu(0.1)
        } else {
            y = y * 2 - 1
        }
    }
    scale = parameter([y.channels, 1, 1], init = 1e-6)
    concat(y * scale, skip -> conv(4, 1x1))
}

model Net(classes = 10, norm = batch_norm(eps = 1e-3), sizes = (8, 16)) {
    input image: [3, H, W]
    input side: 3x16x16
    features = []
    x = image -> stem: conv(16, 3x3, stride = 2x1, pad = 1) -> norm
    for w in sizes {
        a, b = split(x, 2)
        x = Unit(a, b, w, groups = min(4, 2 ** 2), inner = { relu })
        features = features + [x]
    }
    auxiliary output aux = x -> global_avg_pool -> flatten -> dense(classes)
    head = dense(classes)
    output logits = side -> flatten -> head -> softmax
    output map = features[-1] -> upsample(2, mode = nearest)
    expect params(stem) == 448
    expect shape(side) != shape(aux)
    expect receptive_field(stem) >= 3 * 1
}
"""
TEXTS["everything"] = EVERYTHING
WORDS = (
    "( ) [ ] { } -> = == , : . - * ** // % not if for else in input output expect block model use 0 -1 1e9 0x0 3x3 [] "
    "999999999999 H x y relu conv concat split range max true a.b __x__ class identity image.height ()"
)
JUNK = st.one_of(
    st.sampled_from(WORDS.split()),
    st.sampled_from(["\n", '"a b"', '"', "{ relu }", "range(10 ** 9)", "[1] * 3", "\0", "\r", "é", "\x1b"]),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.text(max_size=3),
)


NUMBERS = st.one_of(
    st.integers(-3, 300).map(str),
    st.sampled_from(["0", "1", "1e-3", "0.5", "10 ** 17", "1x1", "7x7", "3x3x3", "2x0", "[1, 2]", "true", "relu", "H"]),
    st.sampled_from(["image", "x.shape", "999_999_999", "999999999999999999", "(0, 1)", "[(0, 1), (1, 0)]", "same"]),
)


def kind(token: str) -> str:
    """Names are alike, and numbers, and each sign is like itself."""
    return "a" if token[:1].isalpha() else "0" if token[:1].isdigit() else token[:1]


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A spec with up to six changes: tokens deleted, doubled, swapped, replaced or put in."""
    tokens = TOKEN.findall(TEXTS[draw(st.sampled_from(sorted(TEXTS)))])
    meaning = [at for at, token in enumerate(tokens) if not token.isspace() and token[0] != "#"]
    for _ in range(draw(st.integers(1, 6))):
        at, other = draw(st.sampled_from(meaning)), draw(st.sampled_from(meaning))
        match draw(
            st.sampled_from(["delete", "double", "swap", "copy", "junk", "insert", *["alike"] * 6, "number", "number"])
        ):
            case "delete":
                tokens[at] = ""
            case "double":
                tokens[at] += " " + tokens[at]
            case "swap":
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case "copy":
                tokens[at] = tokens[other]
            case "junk":
                tokens[at] = draw(JUNK)
            case "insert":
                tokens[at] += " " + draw(JUNK)
            case "alike":
                # Past the parser: a name for a name, a number for a number, a sign for a sign.
                alike = [n for n in meaning if kind(tokens[n]) == kind(tokens[at])]
                tokens[at] = tokens[draw(st.sampled_from(alike))]
            case "number":
                numbers = [n for n in meaning if kind(tokens[n]) == "0"]
                if numbers:
                    tokens[draw(st.sampled_from(numbers))] = draw(NUMBERS)
    return "".join(tokens)


def check(text: str) -> None:
    spec = loading.Spec(text, "spec.cnn", None, None)
    try:
        parsed = loading.parse_all(spec)
    except SpecError as error:
        found, sources = list(error.diagnostics), error.sources
    else:
        models = [d.name.text for d in parsed.files[0].definitions if d.keyword == "model"]
        found, sources = [], parsed.sources
        for model in models[:2] or [None]:
            checked = api.check(parsed, model=model)
            assert (checked.graph is None) <= checked.failed, "no graph, and nothing says why"
            found += checked.diagnostics
            if checked.graph is not None:
                checked.graph.model_dump_json()
    for diagnostic in found:
        in_place(diagnostic, sources)
    render(found, sources, colour=True)


def in_place(diagnostic: Diagnostic, sources: dict[str, str]) -> None:
    """Every span of a diagnostic lies in its file."""
    for span in (diagnostic.span, *(span for span, _ in diagnostic.notes)):
        lines = sources[span.file].removeprefix("\ufeff").split("\n")
        assert 1 <= span.line <= span.end_line <= len(lines), diagnostic
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1, diagnostic
        assert span.end_column <= len(lines[span.end_line - 1]) + 2, diagnostic
        assert (span.end_line, span.end_column) >= (span.line, span.column), diagnostic
    assert "\n" not in diagnostic.message


@given(damaged())
@settings(max_examples=200)
def test_a_damaged_spec_gives_a_graph_or_diagnostics(text: str) -> None:
    check(text)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_prefix_of_a_spec(name: str) -> None:
    tokens = TOKEN.findall(TEXTS[name])
    for length in range(0, len(tokens), max(1, len(tokens) // 25)):
        check("".join(tokens[:length]))
