"""That generated code starts, in every framework, from the distributions that the spec names."""

from __future__ import annotations

import pytest

import cnnspec
from support.initialisers import spec, started, wrong
from support.residents import Residents


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow"])
def test_every_initialiser_on_every_kind_of_weight(target: str, residents: Residents) -> None:
    state = residents.of(target).call(started, spec(), target)
    faults = {key: wrong(weight.init, state[key]) for key, weight in cnnspec.loads(spec()).state.items()}
    assert not {key: fault for key, fault in faults.items() if fault}


@pytest.mark.parametrize("target", ["torch", "keras-tensorflow"])
def test_equal_layers_start_differently(target: str, residents: Residents) -> None:
    """That a constant of the file is not one initialiser, which would draw the same values again."""
    layer = "dense(30, init = variance_scaling(2, fan = out, distribution = truncated_normal))"
    text = f"model Net {{\n    input x: 30\n    first: {layer} -> second: {layer} -> third: {layer}\n}}\n"
    state = residents.of(target).call(started, text, target)
    assert len({state[f"{name}.weight"].tobytes() for name in ("first", "second", "third")}) == 3
