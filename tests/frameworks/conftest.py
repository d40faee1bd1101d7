"""The tests that run generated code in a framework."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Before any framework is imported, and inherited by the processes that tests start.  One thread each: pytest already
# runs a test per core, and the order in which a sum is taken does not depend on the machine then.
os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.framework)
