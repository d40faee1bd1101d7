"""The tests that run generated code in a framework."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from support.residents import Residents

HERE = Path(__file__).parent
# JAX compiles every layer for every shape: a third of that time is LLVM's, for code that runs once.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
SPREAD = {"test_on_all_but_some", "test_gradients_of_large_ones"}
"""Tests that take long and share nothing with their file: any process that is free may run them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.framework)


class Spreading(LoadScopeScheduling):
    """The tests of a file stay in one process, for what they share, except those of `SPREAD`."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return nodeid if test.partition("[")[0] in SPREAD else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return Spreading(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def residents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Residents]:
    """The process of every target, for all tests that this process runs."""
    one = Residents(tmp_path_factory.mktemp("residents"))
    yield one
    one.close()


@pytest.fixture(autouse=True)
def verify_in_residents(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, residents: Residents) -> None:
    """The cross-check runs in resident processes, except in tests marked ``processes``."""
    if not request.node.get_closest_marker("processes"):
        monkeypatch.setattr("cnnspec.verify.crosscheck.run", residents.run)
