"""What a check costs as a whole process, from cold, beside the imports it cannot do without and beside its peers.

Each round runs every command once, so that whatever else the machine does meanwhile falls on all of them alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent

BASELINE = """
import lark
import pydantic

class Model(pydantic.BaseModel):
    size: int
"""

TORCHINFO = """
from support.torchvision_models import torchvision_models
from torchinfo import summary

print(summary(torchvision_models().resnet50(weights=None), (1, 3, 224, 224)))
"""

KERAS = """
import keras

keras.applications.ResNet50(weights=None).summary()
"""

# What is shown and the command; the first is what the others are compared with.
COMMANDS = [
    ("python, lark and a first pydantic model", [sys.executable, "-c", BASELINE]),
    ("cnnspec check resnet50", [sys.executable, "-m", "cnnspec", "check", "resnet50"]),
    ("cnnspec summary resnet50", [sys.executable, "-m", "cnnspec", "summary", "resnet50"]),
    ("torchinfo, torchvision's resnet50", [sys.executable, "-c", TORCHINFO]),
    ("keras summary(), keras's ResNet50", [sys.executable, "-c", KERAS]),
]


def seconds(command: list[str]) -> float:
    """The wall time of one process; raises where it fails, since a failed run measures nothing."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")}
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds

    for _, command in COMMANDS:  # file caches and prepared parser tables
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name, _ in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS:
            times[name].append(seconds(command))

    base = statistics.median(times[COMMANDS[0][0]])
    print(f"Whole processes, {rounds} rounds, seconds.")
    print()
    print(f"| {'command':40} | median |  least |   most | times the first |")
    print(f"|{'-' * 42}|-------:|-------:|-------:|----------------:|")
    for name, measured in times.items():
        median = statistics.median(measured)
        row = f"{median:6.3f} | {min(measured):6.3f} | {max(measured):6.3f} | {median / base:15.2f}"
        print(f"| {name:40} | {row} |")


if __name__ == "__main__":
    main()
