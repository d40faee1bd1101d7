"""The cross-check is checked: it catches every mutant, and accepts what did not change."""

from __future__ import annotations

import pytest

from support.mutants import MUTANTS
from support.mutation import Laboratory, Mutant, documented, examine, graph_of, table, without_numbers
from support.residents import Residents


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory, residents: Residents) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("mutants"), residents)


def kind(mutant: Mutant) -> str:
    return next(node.layer.kind for node in graph_of(mutant.network).layers if node.path == mutant.path)


def title(mutant: Mutant) -> str:
    return f"{mutant.backend}, {kind(mutant)}: {mutant.name}"


def mutant_called(name: str) -> Mutant:
    (found,) = (mutant for mutant in MUTANTS if title(mutant) == name)
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=title)
def test_caught(mutant: Mutant, laboratory: Laboratory) -> None:
    finding = laboratory.examine(mutant)
    assert not finding.report.ok
    assert finding.seen_in, "float32 alone saw it"
    assert finding.names_the_layer, finding.report.as_text()


def test_no_two_are_the_same() -> None:
    assert len(set(map(title, MUTANTS))) == len(MUTANTS) >= 40


def test_without_the_change_all_agree(laboratory: Laboratory) -> None:
    """A check that always fails would catch every mutant too."""
    for mutant in {(mutant.network, mutant.targets, mutant.level): mutant for mutant in MUTANTS}.values():
        report = laboratory.unchanged(mutant)
        assert report.ok, report.as_text()


def test_documented(laboratory: Laboratory) -> None:
    """``make mutants`` has been run."""
    found = table([laboratory.examine(mutant) for mutant in MUTANTS])
    assert without_numbers(documented()) == without_numbers(found)


@pytest.mark.processes
@pytest.mark.parametrize(
    "name",
    [
        "torch, batch_norm: epsilon 2e-5",
        "keras, batch_norm: running statistics in training",
        "torch, gelu: gradient of the approximation",
    ],
)
def test_caught_from_end_to_end(name: str) -> None:
    """With a process for each target, as on the command line."""
    mutant = mutant_called(name)
    report = examine(mutant)
    assert not report.ok
    assert f"`{mutant.path}" in report.as_text()
