"""Generated PyTorch code against torchvision's own, on one CPU thread: a forward pass and a training step.

The two take turns, so that both see the machine's moods; a ratio is the median over the turns.  Peak memory is that of
a process that has one of them alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import cnnspec

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.torchvision_models import torchvision_models

NETWORKS = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "vgg11_bn",
    "densenet121",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
)
WHICH = ("generated", "original")
BATCH = 4


def built(which: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if which == "original":
        model: nn.Module = torchvision_models().get_model(name, weights=None)
        return model
    namespace: dict[str, Any] = {"__name__": "generated"}
    exec(cnnspec.compile(name, "torch"), namespace)
    made: nn.Module = namespace[cnnspec.load(name).name]()
    return made


def steps(model: nn.Module, image: Tensor) -> dict[str, Callable[[], object]]:
    def forward() -> object:
        model.eval()
        with torch.no_grad():
            return model(image)

    def training() -> object:
        model.train()
        model.zero_grad()
        return model(image).sum().backward()

    return {"forward": forward, "training": training}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak(which: str, name: str, size: int) -> float:
    """Megabytes of a process that has trained one step."""
    command = [sys.executable, "-W", "ignore", __file__, name, "--size", str(size), "--alone", which]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed")
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--alone", choices=WHICH, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    image = torch.randn(BATCH, 3, given.size, given.size)
    if given.alone:
        steps(built(given.alone, given.names[0]), image)["training"]()
        return
    sys.stdout.write(f"{BATCH} images of {given.size}x{given.size}; generated / original\n")
    sys.stdout.write(f"{'network':20} {'forward':>8} {'training':>9} {'memory':>7}\n")
    for name in given.names:
        both = {which: steps(built(which, name), image) for which in WHICH}
        ratios = {}
        for what in ("forward", "training"):
            for which in WHICH:
                both[which][what]()
            turns = []
            for number in range(given.rounds):
                order = WHICH if number % 2 else WHICH[::-1]
                took = {which: seconds(both[which][what]) for which in order}
                turns.append(took["generated"] / took["original"])
            ratios[what] = statistics.median(turns)
        memory = peak("generated", name, given.size) / peak("original", name, given.size)
        sys.stdout.write(f"{name:20} {ratios['forward']:8.2f} {ratios['training']:9.2f} {memory:7.2f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
