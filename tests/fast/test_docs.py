"""Every example in the documentation is a spec that holds, or fails as it says, and is in canonical form.

The word behind ``cnn`` says what a block is:

- nothing: a file, in which nothing is found wrong;
- ``NAME.cnn``: a file that the examples after it can ``use``;
- ``body`` and perhaps a shape: statements of a model, with an input ``x`` before them, and no errors in them;
- ``fragment``: definitions or statements that parse;
- ``error: CODE``, alone or behind ``body``: it is refused with this code.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from cnnspec import api, loading
from cnnspec.diagnostics import Diagnostic, SpecError, render
from cnnspec.expand import functions, stands_alone
from cnnspec.initialisers import Initialiser
from cnnspec.syntax.format import format_source
from cnnspec.syntax.parse import RESERVED, parse

ROOT = Path(__file__).parents[2]
LANGUAGE = ROOT / "docs" / "language.md"
PAGES = [LANGUAGE, ROOT / "README.md", ROOT / "docs" / "decisions" / "0002-derived-models.md"]
BLOCK = re.compile(r"^```cnn[ ]?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
BODY = re.compile(r"body(?: ([0-9x]+|\[.*\]))?")
DEFINITION = re.compile(r"^(?:block|model|use)\b", re.MULTILINE)


class Example(NamedTuple):
    place: str
    kind: str
    code: str
    text: str
    used: dict[str, str]


def examples() -> list[Example]:
    found = []
    for page in PAGES:
        content = page.read_text(encoding="utf-8")
        used: dict[str, str] = {}
        for match in BLOCK.finditer(content):
            line = content.count("\n", 0, match.start()) + 1
            kind, _, code = match[1].partition("error: ")
            if kind.endswith(".cnn"):
                used[kind] = match[2]
            found.append(Example(f"{page.stem}-{line}", kind.strip(), code, match[2], dict(used)))
    return found


EXAMPLES = examples()


def in_model(text: str, shape: str | None) -> str:
    """Statements as the body of a model."""
    inner = "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())
    head = f"    input x: {shape}\n\n" if shape else ""
    return f"model Example {{\n{head}{inner}}}\n"


def diagnostics(path: Path) -> list[Diagnostic]:
    """What a check of a file finds in the models that stand alone."""
    try:
        parsed = loading.parse_all(loading.find(str(path)))
    except SpecError as error:
        return list(error.diagnostics)
    models = [definition for definition in parsed.files[0].definitions if definition.keyword == "model"]
    names: list[str | None] = [model.name.text for model in models if stands_alone(model)]
    return [found for name in (names or [None]) for found in api.check(parsed, model=name).diagnostics]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_example(example: Example, tmp_path: Path) -> None:
    text = example.text
    body = BODY.fullmatch(example.kind)
    if body:
        text = in_model(text, body[1] or "8x16x16")
    elif example.kind == "fragment" and not DEFINITION.search(text):
        text = in_model(text, None)
    path = tmp_path / (example.kind if example.kind.endswith(".cnn") else "spec.cnn")
    for name, content in {**example.used, path.name: text}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    if example.kind == "fragment":
        parse(text, path.name)
    elif not example.kind.endswith(".cnn"):
        found = diagnostics(path)
        if example.code:
            assert [d.code for d in found] == [example.code], render(found, {})
        else:
            found = [d for d in found if d.severity == "error"] if body else found
            assert not found, render(found, {str(path): text})
    try:
        assert format_source(text, path.name) == text
    except SpecError:
        assert example.code


def test_there_are_examples() -> None:
    assert len([example for example in EXAMPLES if example.place.startswith("language")]) > 30


def test_the_reference_leaves_out_no_word() -> None:
    content = LANGUAGE.read_text(encoding="utf-8")
    told = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`\n]+)`", content))))
    words = RESERVED | functions.FUNCTIONS.keys() | functions.INITIALISERS.keys()
    assert words - told == set()
    assert Initialiser.model_fields.keys() >= {"fan"}


def test_the_editors_know_every_word() -> None:
    grammar = json.loads((ROOT / "grammar" / "editors" / "cnn.tmLanguage.json").read_text(encoding="utf-8"))
    patterns = [pattern["match"] for pattern in grammar["repository"]["word"]["patterns"]]
    assert {word for word in RESERVED if any(re.fullmatch(pattern, word) for pattern in patterns)} == RESERVED
    assert not any(re.fullmatch(pattern, "relu") for pattern in patterns)


def test_the_code_that_the_readme_shows_is_what_comes_out() -> None:
    shown = re.findall(r"^```python\n(class .*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(shown) == 1
    assert shown[0] in (ROOT / "tests" / "golden" / "resnet18" / "torch.py").read_text()
