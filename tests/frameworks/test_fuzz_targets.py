"""Random networks of fixed seeds on two frameworks, compared with the reference, forward and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnspec.fuzz import campaign

SEEDS = range(25)
TARGETS = ("torch", "keras-tensorflow")


@pytest.mark.slow
def test_random_networks_agree() -> None:
    found = campaign.run(TARGETS, first_seed=SEEDS.start, specs=len(SEEDS))
    assert found.specs == len(SEEDS)
    assert not found.failures
    assert all(found.counts[target]["agree"] >= 0.9 * len(SEEDS) for target in TARGETS), found.counts


def test_a_fault_is_found_made_smaller_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
model Net {
    input image: 3x8x8

    x = image
    x = x -> conv(4, 3) -> tanh
    x = x -> leaky_relu(0.2)
    x -> flatten -> dense(3)
}
"""
    monkeypatch.setattr(campaign, "random_spec", lambda seed: text)
    one = campaign.backends()["torch"]
    emit = one.emit
    monkeypatch.setattr(type(one), "emit", lambda self, graph, probes: emit(graph, probes).replace("0.2)", "0.3)"))
    found = campaign.run(["torch"], first_seed=5, specs=1, save=tmp_path)
    assert [(seed, finding.target, finding.kind) for seed, finding in found.failures] == [(5, "torch", "disagrees")]
    saved = (tmp_path / "seed-5-torch.cnn").read_text()
    assert saved.startswith("# seed 5: torch disagrees\n")
    assert "leaky_relu" in saved
    assert "flatten" not in saved


def test_a_process_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    one = campaign.backends()["torch"]
    monkeypatch.setattr(type(one), "emit", lambda self, graph, probes: "import os\nos._exit(7)")
    found = campaign.run(["torch"], first_seed=0, specs=1)
    ((seed, finding),) = found.failures
    assert (seed, finding.kind) == (0, "fails")
    assert finding.lines == ("its process ended with exit code 7",)
