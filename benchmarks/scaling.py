"""How the time and the memory of a check grow with the number of layers: 10,000 against 100,000.

Two forms of the same network: every layer on a line of its own (parsing counts) and a loop (only expansion does).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (10_000, 100_000)


def flat(layers: int) -> str:
    body = "    conv(8, 3x3, pad = 1)\n    relu\n" * (layers // 2)
    return f"model Deep {{\n    input image: 8x32x32\n{body}}}\n"


def loop(layers: int) -> str:
    turn = "        conv(8, 3x3, pad = 1) -> relu\n"
    return f"model Deep {{\n    input image: 8x32x32\n    for i in range({layers // 2}) {{\n{turn}    }}\n}}\n"


FORMS = {"flat": flat, "loop": loop}


def measure(spec: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one `cnnspec check` as a whole process."""
    command = [sys.executable, "-m", "cnnspec", "check", str(spec)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`cnnspec check {spec.name}` failed: {process.returncode}")
    return elapsed, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds

    with tempfile.TemporaryDirectory() as folder:
        specs = {}
        for form, write in FORMS.items():
            for size in SIZES:
                specs[form, size] = Path(folder) / f"{form}_{size}.cnn"
                specs[form, size].write_text(write(size), encoding="utf-8")
        measured: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in specs}
        for _ in range(rounds):
            for key, spec in specs.items():
                measured[key].append(measure(spec))

    print(f"`cnnspec check`, whole processes, medians of {rounds} rounds.")
    print()
    print("| form | layers  | seconds | megabytes | times the seconds | times the megabytes |")
    print("|------|--------:|--------:|----------:|------------------:|--------------------:|")
    for form in FORMS:
        first: tuple[float, float] | None = None
        for size in SIZES:
            seconds = statistics.median(t for t, _ in measured[form, size])
            megabytes = statistics.median(m for _, m in measured[form, size])
            first = first or (seconds, megabytes)
            growth = f"{seconds / first[0]:17.1f} | {megabytes / first[1]:19.1f}"
            print(f"| {form} | {size:7,} | {seconds:7.2f} | {megabytes:9.0f} | {growth} |")


if __name__ == "__main__":
    main()
