"""The tests that need no framework, and prove it: none may be imported here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FRAMEWORKS = {"jax", "keras", "tensorflow", "torch"}
HERE = Path(__file__).parent


def loaded() -> set[str]:
    return FRAMEWORKS & sys.modules.keys()


def pytest_collection_finish(session: pytest.Session) -> None:
    # Collected together with tests/frameworks, whose modules import frameworks, the question has no answer.
    alone = all(item.path.is_relative_to(HERE) for item in session.items)
    if alone and loaded():
        raise pytest.UsageError(f"importing the tests in tests/fast imported {', '.join(sorted(loaded()))}")


@pytest.fixture(autouse=True)
def no_framework() -> Iterator[None]:
    before = loaded()
    yield
    if new := loaded() - before:
        pytest.fail(f"this test imported {', '.join(sorted(new))}: tests/frameworks is for that", pytrace=False)
