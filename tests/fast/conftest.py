"""The tests that need no framework, and prove it: none may be imported here."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnspec.backend import backends
from support import toy_backend

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


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """The toy distribution on the path of this process and of those it starts.

    The cross-check works within this process, as starting others takes most of its time, except in tests marked
    ``processes``.
    """
    toy_backend.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if request.node.get_closest_marker("processes"):
        before = os.environ.get("PYTHONPATH")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path) if before is None else f"{tmp_path}{os.pathsep}{before}")
    else:
        monkeypatch.setattr("cnnspec.verify.crosscheck.run", toy_backend.run_here)
        monkeypatch.setattr(sys, "stdin", io.StringIO())
    backends.cache_clear()
    yield
    sys.modules.pop("cnnspec_toy", None)
    backends.cache_clear()
