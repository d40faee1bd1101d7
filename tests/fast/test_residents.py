"""The processes that live as long as the tests do: what goes wrong in one is told, and the next call finds another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.residents import Resident, ResidentError


@pytest.fixture
def resident(tmp_path: Path) -> Iterator[Resident]:
    one = Resident(tmp_path / "log.txt")
    yield one
    one.close()


def test_one_process_serves_until_something_ends_it(resident: Resident) -> None:
    first = resident.call(os.getpid)
    assert first != os.getpid()
    with pytest.raises(ResidentError, match="ValueError: invalid literal"):
        resident.call(int, "many")
    assert resident.call(os.getpid) == first
    with pytest.raises(ResidentError, match="ended with exit code 7"):
        resident.call(os._exit, 7)
    second = resident.call(os.getpid)
    assert second != first
    with pytest.raises(ResidentError, match="no result within"):
        resident.call(time.sleep, 60, timeout=0.1)
    assert resident.call(os.getpid) != second


def test_the_surroundings_are_those_of_verify(resident: Resident) -> None:
    assert resident.call(os.getenv, "PYTHONHASHSEED") == "0"
    assert resident.call(os.getenv, "CUDA_VISIBLE_DEVICES") == ""
