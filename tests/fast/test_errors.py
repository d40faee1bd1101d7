"""The literate error tests of tests/errors, and that they leave no code out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support import error_cases
from support.error_cases import CASES, Case

ROOT = Path(__file__).parents[2]
RAISERS = {"Problem", "Diagnostic", "RuleError", "_failure", "_refusal", "_refuse", "error", "give_up"}
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)+")
ELSEWHERE = {
    "targets-disagree": "of `verify`, which needs frameworks",
    "internal-error": "of `compile`, where cnnspec itself is at fault",
}
"""Codes that no check of a spec gives, and why."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update_golden: bool) -> None:
    outcome = case.run(tmp_path, monkeypatch)
    if update_golden and outcome.text != case.expected:
        error_cases.rewrite(case, outcome.text)
    else:
        assert outcome.text == case.expected
    if outcome.diagnostics:
        assert case.code in {d.code for d in outcome.diagnostics}, f"{case.file.name} has it under {case.code}"
    for diagnostic in outcome.diagnostics:
        assert diagnostic.help or diagnostic.label, "an error says what to do about it"
        for span in (diagnostic.span, *(span for span, _ in diagnostic.notes)):
            if span.file not in outcome.sources:
                continue  # a file that could not be read
            lines = outcome.sources[span.file].split("\n")
            assert 1 <= span.line <= len(lines)
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1
            assert (span.end_line, span.end_column) >= (span.line, span.column)


MENDED = [case for case in CASES if case.mended]


@pytest.mark.parametrize("case", MENDED, ids=str)
def test_the_help_is_true(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mended spec has what the help line says to write, and nothing is wrong with it."""
    found = case.run(tmp_path, monkeypatch).diagnostics
    Path("spec.cnn").write_text(case.mended, encoding="utf-8")
    after = error_cases.check(case.command)
    assert not after.diagnostics, after.text
    advice = [code for diagnostic in found for code in re.findall(r"`([^`]+)`", diagnostic.help)]
    advice = [code for code in advice if not code.startswith("cnnspec ")]
    assert not advice or any(re.search(pattern(code), case.mended) for code in advice), advice


def pattern(advice: str) -> str:
    """What code looks like that follows the advice: dots stand for anything, single letters for names."""
    text = re.escape(advice).replace(r"\.\.\.", ".*").replace(r"\ ", r"\s+")
    return re.sub(r"\b[abxy]\b", r"\\w+", text)


def codes() -> set[str]:
    """Every code in the source: the strings that look like one where a diagnostic is made."""
    found = {"bad-argument"}  # what a `RuleError` has where it gives none
    for file in [*(ROOT / "cnnspec").rglob("*.py"), *(ROOT / "backends").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
                if name in RAISERS:
                    words = [one.value for one in given if isinstance(one, ast.Constant)]
                    found.update(word for word in words if isinstance(word, str) and CODE.fullmatch(word))
    return found


def test_every_code_has_a_case_and_every_case_a_code() -> None:
    assert {case.code for case in CASES} == codes() - ELSEWHERE.keys()


def test_titles_are_unique_and_sections_are_not_split() -> None:
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)
    homes = {(case.code, case.file) for case in CASES}
    assert len({code for code, _ in homes}) == len(homes)


def test_the_catalogue_is_current(golden: Callable[[str | Path, str], None]) -> None:
    golden(ROOT / "docs" / "errors.md", error_cases.catalogue())
