"""The tests that run generated code in a framework."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.residents import Residents

HERE = Path(__file__).parent


# First, as xdist then reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file share what it sets up, and so one process, except those that are marked to go elsewhere."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.framework)
            if not any(map(item.get_closest_marker, ("xdist_group", "spread"))):
                item.add_marker(pytest.mark.xdist_group(item.path.stem))


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
