"""Options and fixtures of every suite."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

GOLDEN = Path(__file__).parent / "golden"

# The machine may be busy with other tests.  Hypothesis's own "ci" profile, taken where CI is set, has no deadline.
settings.register_profile("default", parent=settings(), deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected outputs instead of comparing")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected outputs are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> Callable[[str | Path, str], None]:
    """``golden(path, text)``: the text must equal the file, whose path is taken from tests/golden unless absolute."""

    def compare(path: str | Path, text: str) -> None:
        file = GOLDEN / path
        expected = file.read_text(encoding="utf-8") if file.exists() else None
        if text == expected:
            return
        if update_golden:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        elif expected is None:
            pytest.fail(f"{file} is missing: `make golden` writes it", pytrace=False)
        else:
            difference = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), "expected", "produced", lineterm=""
            )
            report = [f"{file} differs: `make golden` rewrites it", *difference]
            pytest.fail("\n".join(report), pytrace=False)

    return compare
