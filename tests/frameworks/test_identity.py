"""The generated class is the block: other arguments, the spec's parameters, weights, shapes and numbers, other sizes.

A part with fixed seeds; ``make identity`` examines every block of the zoo.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NETWORKS = {
    "torch": (
        "resnet18", "resnet50", "efficientnet_b0", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
        "regnet_y_400mf", "inception_v3", "shufflenet_v2_x1_0", "convnext_tiny", "unet", "keras/resnet50v2",
        "keras/efficientnetv2b0", "keras/mobilenet", "keras/inceptionresnetv2", "xception", "nasnetmobile",
        *(f"random:{seed}" for seed in range(24)),
    ),
    "keras-tensorflow": (
        "resnet50", "mobilenet_v3_small", "regnet_y_400mf", "keras/resnet50v2", "xception",
        *(f"random:{seed}" for seed in range(8)),
    ),
}  # fmt: skip
BESIDE = {"Adjust": ["with_avg_pool"], "ReductionCell": ["reduction_pad"]}
"""What NASNet's blocks take besides: only the sizes of their maps decide it."""
RANDOM_BESIDE = {"option"}
"""What random blocks take besides: `y.shape == x.shape`."""
SEED, LARGEST = 7, 2_000


@pytest.mark.slow
@pytest.mark.parametrize("target", NETWORKS)
def test_every_definition_is_the_block(target: str) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "support.identity", target, str(SEED), str(LARGEST)]
    done = subprocess.run(
        [*command, *NETWORKS[target]], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    findings: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    # Not every random network has a block.
    missing = set(NETWORKS[target]) - {finding["network"] for finding in findings}
    assert all(name.startswith("random:") for name in missing)
    assert len(missing) < len(NETWORKS[target]) / 3
    wrong = []
    for finding in findings:
        if finding["network"].startswith("random:"):
            assert set(finding["beside"]) <= RANDOM_BESIDE, finding
        elif finding["beside"]:
            assert finding["beside"] == BESIDE[finding["block"]], finding
            continue
        if finding["problems"]:
            wrong.append(f"{finding['network']}, {finding['block']}: {finding['problems'][0]}")
    assert not wrong, "\n".join(wrong)
    assert all(finding["uses"] >= 8 for finding in findings)
    assert sum(finding["narrow"] for finding in findings) < len(findings) / 8
    assert sum(finding["not_taken"] for finding in findings) < sum(finding["uses"] for finding in findings) / 20
    assert sum(finding["numbers"] for finding in findings) > 20
